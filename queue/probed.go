package queue

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sternpost/journal"
	"sternpost/mail"
)

// Bounds of what reports are told of the attempts with other mail.
const (
	mostProbes      = 500 // entries of each kind that are read: a dead destination is probed 480 times in five days
	probedDomains   = 16
	probedRemembers = time.Minute
)

// probed is what the journal tells of the attempts that reached nobody, by destination: those are probes for all that waits there, and what only waited is reported with them. Many
// messages end together, so it is remembered for a short time.
type probed struct {
	mu    sync.Mutex
	known map[mail.Domain]probes
}

type probes struct {
	read time.Time
	list []probeOf
}

// probeOf is one attempt, and the message that it was made with.
type probeOf struct {
	message string
	attempt *mail.Attempt // its candidates without their stages
}

// of yields the attempts with other messages that reached nobody, in the lifetime of o.
func (p *probed) of(q *Queue, d mail.Domain, o Owed, now time.Time) []*mail.Attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.known[d]
	if !ok || now.Sub(known.read) > probedRemembers {
		if p.known == nil || len(p.known) >= probedDomains {
			p.known = map[mail.Domain]probes{}
		}
		known = probes{now, q.readProbes(d)}
		p.known[d] = known
	}
	var list []*mail.Attempt
	for _, seen := range known.list {
		if seen.message != o.ID.String() && seen.attempt.Ended.After(o.begin()) {
			list = append(list, seen.attempt)
		}
	}
	return list
}

// readProbes finds them in the journal.
func (q *Queue) readProbes(d mail.Domain) []probeOf {
	var list []probeOf
	for _, kind := range []journal.Kind{journal.Deferred, journal.Failed} {
		for e, err := range q.store.Journal().Find(context.Background(), journal.Query{Domain: d, Kind: kind, Newest: true, Limit: mostProbes}) {
			if err != nil {
				q.log.Error("the journal does not tell a report which hosts were tried with other mail", zap.String("domain", string(d)), zap.Error(err))
				return list
			}
			if e.Attempt != nil && e.ReachedNobody() {
				list = append(list, probeOf{e.Message, withoutStages(e.Attempt)})
			}
		}
	}
	return list
}

func withoutStages(a *mail.Attempt) *mail.Attempt {
	bare := &mail.Attempt{Ended: a.Ended, Candidates: slices.Clone(a.Candidates)}
	for i, c := range bare.Candidates {
		bare.Candidates[i] = mail.Candidate{Host: c.Host, Address: c.Address, Verdict: c.Verdict, Reason: c.Setback()}
	}
	return bare
}
