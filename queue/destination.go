package queue

import (
	"time"

	"sternpost/mail"
)

// turns holds work of several senders, who take turns. The zero value is empty.
type turns struct {
	senders []string // whose turn it is stands first
	work    map[string][]Owed
}

func (t *turns) add(o Owed) {
	if t.work == nil {
		t.work = make(map[string][]Owed)
	}
	if len(t.work[o.Sender]) == 0 {
		t.senders = append(t.senders, o.Sender)
	}
	t.work[o.Sender] = append(t.work[o.Sender], o)
}

// take returns the work of the sender whose turn it is; false: there is none.
func (t *turns) take() (Owed, bool) {
	if len(t.senders) == 0 {
		return Owed{}, false
	}
	sender := t.senders[0]
	t.senders = t.senders[1:]
	list := t.work[sender]
	o := list[0]
	list[0] = Owed{}
	if len(list) == 1 {
		delete(t.work, sender)
	} else {
		t.work[sender] = list[1:]
		t.senders = append(t.senders, sender)
	}
	return o, true
}

// destination is one domain as the schedule sees it.
type destination struct {
	domain mail.Domain
	lines  [Report + 1]turns // by priority
	count  int               // work in lines
	queued bool              // it stands in the ring of the schedule, or waits for its site

	site      *site // nil: not known yet
	siteUntil time.Time
	resolving bool
	underWay  int

	probes    int       // failed in a row; 0: it is not dead
	lastProbe time.Time // the last attempt that showed it dead
	rateFrom  time.Time // no attempt before, for the sake of its rate
}

// dead says whether no address of d took a connection when it was last tried.
func (d *destination) dead() bool { return d.probes > 0 }

// idle says whether the schedule has nothing to do for d.
func (d *destination) idle() bool {
	return d.count == 0 && d.underWay == 0 && !d.resolving && !d.queued
}

func (d *destination) add(o Owed) {
	d.lines[min(o.Priority, Report)].add(o)
	d.count++
}

// take returns the next work: higher priorities first, senders in turn.
func (d *destination) take() (Owed, bool) {
	for i := range d.lines {
		if o, ok := d.lines[i].take(); ok {
			d.count--
			return o, true
		}
	}
	return Owed{}, false
}

// empty takes all work out.
func (d *destination) empty() []Owed {
	var all []Owed
	for o, ok := d.take(); ok; o, ok = d.take() {
		all = append(all, o)
	}
	return all
}

// site is a set of exchangers: the unit of windows.
type site struct {
	name     string
	window   Window
	underWay int
	waiting  []*destination // that found the window full
	pressed  bool           // some waited when the last outcomes came
	used     time.Time
}

// full says whether the site may not have one more attempt.
func (s *site) full() bool { return s.underWay >= s.window.Size() }

// release lets those that wait for a place try again.
func (s *site) release() []*destination {
	waiting := s.waiting
	s.waiting = nil
	return waiting
}
