package queue

import (
	"slices"
	"time"

	"sternpost/mail"
)

// turns holds work of several senders, who take turns. The zero value is empty.
type turns struct {
	senders []string // whose turn it is stands first
	work    map[string][]Owed
	count   int
}

func (t *turns) add(o Owed) {
	if t.work == nil {
		t.work = make(map[string][]Owed)
	}
	if len(t.work[o.Sender]) == 0 {
		t.senders = append(t.senders, o.Sender)
	}
	t.work[o.Sender] = append(t.work[o.Sender], o)
	t.count++
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
	t.count--
	if len(list) == 1 {
		delete(t.work, sender)
	} else {
		t.work[sender] = list[1:]
		t.senders = append(t.senders, sender)
	}
	return o, true
}

// displace takes out the last work of the sender who has most, to make place for one of a sender who has less than the average; false: nobody has to yield.
func (t *turns) displace(sender string) (Owed, bool) {
	if len(t.senders) == 0 || (len(t.work[sender])+1)*len(t.senders) > t.count {
		return Owed{}, false
	}
	most := ""
	for name, list := range t.work {
		if len(list) > len(t.work[most]) {
			most = name
		}
	}
	list := t.work[most]
	last := len(list) - 1
	o := list[last]
	list[last] = Owed{}
	t.work[most] = list[:last]
	if last == 0 { // where each sender has one message
		delete(t.work, most)
		t.senders = slices.DeleteFunc(t.senders, func(name string) bool { return name == most })
	}
	t.count--
	return o, true
}

// destination is one domain as the schedule sees it.
type destination struct {
	domain mail.Domain
	lines  [Report + 1]turns // by priority
	count  int               // work in lines
	queued bool              // it stands in the ring of the schedule, or where it will be put back into it

	site      *site // nil: not known yet
	siteUntil time.Time
	resolving bool
	underWay  int
	leased    time.Time // when the store was last asked for work of it

	probes   int       // failed in a row; 0: it is not dead
	died     time.Time // when it was last found dead
	lived    time.Time // when an attempt last got past the hello of a host
	last     probe     // the last attempt that showed it dead
	restFrom time.Time // no attempt before: for the sake of its rate, or because we have no handle
	asleep   bool      // it waits for restFrom

	config   *Config // that override was taken from
	override Override
}

// probe is what those who wait for a dead destination are told of it.
type probe struct {
	at      time.Time
	failed  int // attempts in a row that found it dead
	outcome mail.Outcome
}

// dead says whether no address of d got as far as hello when it was last tried.
func (d *destination) dead() bool { return d.probes > 0 }

// suspended is until when nothing but a probe may be tried: the zero time where d is not dead.
func (d *destination) suspended() time.Time {
	if !d.dead() {
		return time.Time{}
	}
	return d.died.Add(probeDelay(d.probes - 1))
}

// rules are the values of the configuration for d.
func (d *destination) rules(c *Config) Override {
	if d.config != c {
		d.config, d.override = c, c.forDestination(d.domain)
	}
	return d.override
}

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

// displace takes out work that has to yield to o: of a lower priority, or of the sender who has most.
func (d *destination) displace(o Owed) (Owed, bool) {
	for p := Report; p > o.Priority; p-- {
		if out, ok := d.lines[p].displace(""); ok {
			d.count--
			return out, true
		}
	}
	out, ok := d.lines[min(o.Priority, Report)].displace(o.Sender)
	if ok {
		d.count--
	}
	return out, ok
}

// cut takes out what stands behind the first so many.
func (d *destination) cut(keep int) []Owed {
	kept := make([]Owed, 0, keep)
	for o, ok := d.take(); ok && len(kept) < keep; o, ok = d.take() {
		kept = append(kept, o)
		if len(kept) == keep {
			break
		}
	}
	rest := d.empty()
	for _, o := range kept {
		d.add(o)
	}
	return rest
}

// remove takes out the work that fits.
func (d *destination) remove(fits func(Owed) bool) []Owed {
	var out []Owed
	for _, o := range d.empty() {
		if fits(o) {
			out = append(out, o)
		} else {
			d.add(o)
		}
	}
	return out
}

// empty takes all work out.
func (d *destination) empty() []Owed {
	all := make([]Owed, 0, d.count)
	for o, ok := d.take(); ok; o, ok = d.take() {
		all = append(all, o)
	}
	return all
}

// site is a set of exchangers: the unit of windows.
type site struct {
	name      string
	window    Window
	users     int // destinations that lead here
	underWay  int
	unsettled int            // attempts that ended and are not yet recorded
	waiting   []*destination // that found the window full
	// confined says that it may take only a share of all places: no attempt has shown yet that it answers, or one has lasted for long.
	confined bool
	stalled  time.Time // when an attempt was last seen that has lasted for long
	used     time.Time
}

// mostUnsettled bounds what would be done again after a crash, in windows of a site: attempts under way, and those that are over and not yet recorded. When the disk keeps up there are
// few of the latter; where it does not, nothing new begins.
const mostUnsettled = 8

// free is how many more attempts the site may have.
func (s *site) free() int {
	size := s.window.Size()
	return min(size-s.underWay, mostUnsettled*size-s.underWay-s.unsettled)
}

// feed tells the window how an attempt went.
func (s *site) feed(how fare) {
	switch how {
	case faredWell:
		if len(s.waiting) > 0 {
			s.window = s.window.Grow()
		}
	case faredBadly, faredDead:
		s.window = s.window.Shrink()
	}
}
