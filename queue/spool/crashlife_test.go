package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// life is what uses the store.
type life struct {
	*power
	s     *Store
	round int
}

// run lets clients, the schedule and a person work at the same time.
func (l life) run() {
	var working sync.WaitGroup
	for n := range 4 {
		random := rand.New(rand.NewPCG(uint64(l.round), uint64(n)))
		working.Go(func() {
			for i := range 25 {
				l.hand(random, fmt.Sprintf("%d-%d-%d", l.round, n, i))
			}
		})
	}
	for n, work := range []func(*rand.Rand){l.deliver, l.person, l.keepHouse, l.report} {
		random := rand.New(rand.NewPCG(uint64(l.round), uint64(100+n)))
		working.Go(func() {
			for range 80 {
				work(random)
			}
		})
	}
	working.Wait()
}

func (l life) check(what string, err error) bool {
	if err != nil {
		l.t.Errorf("%s: %v", what, err)
	}
	return err == nil
}

// noise is octets that do not compress.
func noise(random *rand.Rand, size int) []byte {
	b := make([]byte, size)
	var seed [32]byte
	binary.NativeEndian.PutUint64(seed[:], random.Uint64())
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

// letter is content: mostly small, sometimes in a file.
func letter(random *rand.Rand) []byte {
	if random.IntN(12) == 0 {
		return noise(random, largestInline+random.IntN(50_000))
	}
	return noise(random, 500+random.IntN(8000))
}

// hand hands a message in, and settles it or leaves it.
func (l life) hand(random *rand.Rand, token string) {
	content := letter(random)
	if token == firstToken { // the directory of content is new
		content = noise(random, largestInline+1)
	}
	if random.IntN(10) == 0 {
		if d := l.draft(content); d != nil {
			d.Abort()
		}
		return
	}
	m := submission(fmt.Sprintf("a@%d.example", random.IntN(4)))
	if random.IntN(2) == 0 {
		m = submission(fmt.Sprintf("a@%s.example", token)) // nothing else leads to its destination
	}
	m.MessageID, m.Sender = token, fmt.Sprint(random.IntN(3))
	hands := 1
	if random.IntN(3) == 0 {
		hands = 1 + random.IntN(2)
		m.Key, m.Digest = token, [32]byte{1}
		m.Received = at(0)
		if old := random.IntN(4) == 0; old && hands == 1 {
			m.Received = at(-3 * 24 * 60) // its key goes before the next examination; of two at once the second might come after that
		}
	}
	l.book.turn(token, func(p *bookPage) { p.sum, p.keyed = crc32.ChecksumIEEE(content), m })
	for _, work := range l.commit(m, content, hands) {
		if random.IntN(2) == 0 {
			l.s.Return(work)
			continue
		}
		l.settle(random, work)
	}
}

func (l life) draft(content []byte) queue.Draft {
	d, err := l.s.Begin(l.t.Context())
	if !l.check("Begin", err) {
		return nil
	}
	if _, err := d.Write(content); !l.check("Write", err) {
		return nil
	}
	return d
}

// commit commits a message so many times at once, and gives the work that comes of it.
func (l life) commit(m queue.Submission, content []byte, hands int) [][]queue.Owed {
	var handing sync.WaitGroup
	all := make([][]queue.Owed, hands)
	for n := range hands {
		handing.Go(func() {
			d := l.draft(content)
			if d == nil {
				return
			}
			work, err := d.Commit(l.t.Context(), m, []journal.Entry{{Kind: journal.Accepted, MessageID: m.MessageID}})
			id := repeats(err)
			if id == 0 && !l.check("Commit", err) {
				return
			}
			if err == nil {
				id, all[n] = work[0].ID, work
			}
			l.book.turn(m.MessageID, func(p *bookPage) {
				if p.id != 0 && p.id != id {
					l.t.Errorf("%s is accepted as %v and as %v", m.MessageID, p.id, id)
				}
				p.accepted, p.id = true, id
			})
		})
	}
	handing.Wait()
	return all
}

// deliver leases work and settles it.
func (l life) deliver(random *rand.Rand) {
	now := at(random.IntN(100))
	work, err := l.s.Lease(l.t.Context(), queue.Want{Now: now, Most: 1 + random.IntN(8), PerDestination: 3})
	l.check("Lease", err)
	if random.IntN(4) == 0 {
		late, err := l.s.Overdue(l.t.Context(), at(random.IntN(100)).AddDate(0, 0, 5), 2)
		l.check("Overdue", err)
		work = append(work, late...)
	}
	if _, _, err := l.s.Next(l.t.Context()); err != nil {
		l.check("Next", err)
	}
	l.settle(random, work)
}

// settle settles some of the work in one commit, and returns the rest.
func (l life) settle(random *rand.Rand, work []queue.Owed) {
	var settlements []queue.Settlement
	var after []func()
	for _, o := range work {
		if random.IntN(6) == 0 {
			l.s.Return([]queue.Owed{o})
			continue
		}
		s, then := l.settlement(random, o)
		settlements = append(settlements, s)
		after = append(after, then)
	}
	if l.check("Settle", l.s.Settle(l.t.Context(), settlements)) {
		for _, then := range after {
			then()
		}
	}
}

// settlement makes one up, and gives what the book says when it is recorded.
func (l life) settlement(random *rand.Rand, o queue.Owed) (queue.Settlement, func()) {
	token := o.MessageID
	s := queue.Settlement{ID: o.ID, Destination: o.Destination, States: map[int]queue.RecipientState{}}
	end := func(p *bookPage) { p.gone, p.removing = true, p.removing-1 }
	state := o.Recipients[0]
	state.Attempts++
	kind := journal.Delivered
	then := func() { l.book.turn(token, end) }
	switch {
	case random.IntN(2) == 0:
		kind = journal.Deferred
		state.Due, state.Last = at(random.IntN(100)), mail.Outcome{Disposition: mail.Deferred, Reason: "busy"}
		then = func() { l.book.turn(token, func(p *bookPage) { p.attempts = state.Attempts }) }
	case random.IntN(3) == 0 && o.Origin == 0:
		kind = journal.Failed
		state.State, state.ReportBy = queue.Failed, at(random.IntN(100))
		then = func() { l.book.turn(token, func(p *bookPage) { p.owes = true }) }
	case random.IntN(2) == 0 && o.Origin == 0:
		kind = journal.Failed
		state.State, state.Reported = queue.Failed, true
		s.Reports, then = l.spawn(random, o)
	default:
		state.State = queue.Delivered
		l.book.turn(token, func(p *bookPage) { p.removing++ })
	}
	s.States[0] = state
	s.Entries = []journal.Entry{{
		Kind: kind, Message: o.ID.String(), MessageID: token, Domain: o.Destination, Reply: []string{string(noise(random, 6000))},
	}}
	return s, then
}

// spawn makes a report, and gives what the book says when it is recorded.
func (l life) spawn(random *rand.Rand, o queue.Owed) ([]queue.Spawned, func()) {
	token := o.MessageID
	report := "report on " + token
	content := letter(random)
	m := submission("us@0.example")
	m.MessageID, m.Origin, m.Priority = report, o.ID, queue.Report
	l.book.turn(report, func(p *bookPage) { p.sum = crc32.ChecksumIEEE(content) })
	l.book.turn(token, func(p *bookPage) { p.report, p.removing = report, p.removing+1 })
	return []queue.Spawned{{Submission: m, Content: content}}, func() {
		l.book.turn(report, func(p *bookPage) { p.accepted = true })
		l.book.turn(token, func(p *bookPage) { p.gone, p.owes, p.removing = true, false, p.removing-1 })
	}
}

// report writes some of the reports that have waited, and gives others back.
func (l life) report(random *rand.Rand) {
	work, _, err := l.s.Reports(l.t.Context(), at(random.IntN(100)), 1+random.IntN(4))
	l.check("Reports", err)
	for _, o := range work {
		if random.IntN(4) == 0 {
			l.s.Return([]queue.Owed{o})
			continue
		}
		state := o.Recipients[0]
		state.Reported, state.ReportBy = true, time.Time{}
		s := queue.Settlement{ID: o.ID, Destination: queue.ReportWork, States: map[int]queue.RecipientState{0: state}}
		var then func()
		s.Reports, then = l.spawn(random, o)
		if l.check("Settle", l.s.Settle(l.t.Context(), []queue.Settlement{s})) {
			then()
		}
	}
}

// person changes messages.
func (l life) person(random *rand.Rand) {
	for m, err := range l.s.Messages(l.t.Context(), queue.Query{Limit: 1 + random.IntN(20)}) {
		if !l.check("Messages", err) {
			return
		}
		if random.IntN(4) > 0 {
			continue
		}
		action := []queue.Action{queue.Retry, queue.Hold, queue.Release, queue.Release, queue.Remove}[random.IntN(5)]
		if action == queue.Remove && m.Origin == 0 {
			action = queue.Hold // a removal owes no report
		}
		if action == queue.Remove {
			l.book.turn(m.MessageID, func(p *bookPage) { p.removing++ })
		}
		n, err := l.s.Change(l.t.Context(), queue.Query{ID: m.ID}, action, at(random.IntN(100)))
		l.check("Change", err)
		if action == queue.Remove {
			l.book.turn(m.MessageID, func(p *bookPage) { p.removing, p.gone = p.removing-1, p.gone || n > 0 })
		}
	}
}

// keepHouse suspends destinations, lifts that, and lets the journal and keys expire.
func (l life) keepHouse(random *rand.Rand) {
	name := mail.Domain(fmt.Sprintf("%d.example", random.IntN(4)))
	until := at(random.IntN(200))
	switch random.IntN(4) {
	case 0:
		until = time.Time{}
	case 1:
		name, until = "", time.Time{}
	}
	l.check("Suspend", l.s.Suspend(l.t.Context(), name, until))
	if random.IntN(5) == 0 {
		l.check("Expire", l.s.Expire(at(100)))
	}
}
