package queue

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
)

// triedHosts is how many hosts a report tells of for one recipient.
const triedHosts = 12

// addTried adds to the recipients of a report which hosts were tried, how often, and why each did not take the message: by attempts with it, and by those with other mail that reached
// nobody. It is in the journal; what is not recorded yet is in the settlement.
func (q *Queue) addTried(o Owed, s *Settlement, list []dsn.Recipient, now time.Time) {
	found := map[mail.Domain][]*mail.Attempt{}
	if tellsMore(o) {
		for e, err := range q.store.Journal().Find(context.Background(), journal.Query{Message: o.ID.String()}) {
			if err != nil {
				q.log.Error("the journal does not tell a report what was tried", zap.Stringer("id", o.ID), zap.Error(err))
				break
			}
			found[e.Domain] = append(found[e.Domain], e.Attempt)
		}
	}
	for _, e := range s.Entries {
		found[e.Domain] = append(found[e.Domain], e.Attempt)
	}
	told := map[mail.Domain]hosts{}
	for i, r := range list {
		d := r.Final.Domain
		if _, known := told[d]; !known {
			if onlyWaited(o, s, d) {
				found[d] = append(found[d], q.probed.of(q, d, o, now)...)
			}
			told[d] = hostsOf(found[d])
		}
		list[i].Tried, list[i].NotListed = told[d].of(r).list()
	}
}

// hostsOf is what became of each host by all attempts, in the order of these.
func hostsOf(list []*mail.Attempt) hosts {
	list = slices.DeleteFunc(list, func(a *mail.Attempt) bool { return a == nil })
	slices.SortStableFunc(list, func(a, b *mail.Attempt) int { return a.Ended.Compare(b.Ended) })
	var h hosts
	for _, a := range list {
		h = h.add(a)
	}
	return h
}

// onlyWaited says whether a recipient at d waits, or waited until its lifetime ended, because no host could be reached: then attempts with other mail tell of it too.
func onlyWaited(o Owed, s *Settlement, d mail.Domain) bool {
	for i, state := range o.Recipients {
		if settled, here := s.States[i]; here {
			state = settled
		}
		told := journal.Entry{Kind: kindOf(state), Stage: state.Last.Stage, Scope: state.Last.Scope, Reason: state.Last.Reason}
		if o.Envelope.Recipients[i].Address.Domain == d && told.ReachedNobody() && (state.State == Pending || told.Expired()) {
			return true
		}
	}
	return false
}

// tellsMore says whether the journal has attempts that a settlement does not: a message that failed at once needs no look at it.
func tellsMore(o Owed) bool {
	return o.Destination == ReportWork || slices.ContainsFunc(o.Recipients, func(s RecipientState) bool { return s.Attempts > 0 })
}

// hosts is what became of each host, in the order in which they were first tried.
type hosts []dsn.Host

// add adds an attempt. Hosts that were not needed are left out.
func (h hosts) add(a *mail.Attempt) hosts {
	if a == nil {
		return h
	}
	for _, c := range a.Candidates {
		if c.Verdict == mail.VerdictUnreached || c.Verdict == mail.VerdictDelivered {
			continue
		}
		address := ""
		if c.Address.IsValid() {
			address = c.Address.String()
		}
		n := slices.IndexFunc(h, func(known dsn.Host) bool { return known.Name == c.Host && known.Address == address })
		if n < 0 {
			n, h = len(h), append(h, dsn.Host{Name: c.Host, Address: address})
		}
		if c.Verdict == mail.VerdictSkipped && h[n].Times > 0 {
			continue // the last thing that was learnt from it says more
		}
		h[n].Reason, h[n].Last = c.Setback(), a.Ended
		if c.Verdict != mail.VerdictSkipped {
			h[n].Times++
		}
	}
	return h
}

// of is h as it is told of one recipient: a host that refused several in different words said this to it.
func (h hosts) of(r dsn.Recipient) hosts {
	own := slices.Clone(h)
	for i := range own {
		if own[i].Reason == mail.RefusedRecipients && own[i].Name == r.RemoteMTA && !r.Diagnostic.IsZero() {
			own[i].Reason = r.Diagnostic.String()
		}
	}
	return own
}

// list is the hosts that a report tells of, those that were tried most first to stay, and how many it leaves out.
func (h hosts) list() ([]dsn.Host, int) {
	if len(h) <= triedHosts {
		return h, 0
	}
	most := slices.Clone(h)
	slices.SortStableFunc(most, func(a, b dsn.Host) int { return cmp.Compare(b.Times, a.Times) })
	return most[:triedHosts], len(h) - triedHosts
}
