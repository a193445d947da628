package queue

import (
	"cmp"
	"context"
	"slices"

	"go.uber.org/zap"

	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
)

// triedHosts is how many hosts a report tells of for one recipient.
const triedHosts = 12

// addTried adds to the recipients of a report which hosts were tried, how often, and why each did not take the message. It is in the journal; what is not recorded yet is in the
// settlement.
func (q *Queue) addTried(o Owed, s *Settlement, list []dsn.Recipient) {
	found := map[mail.Domain]hosts{}
	if tellsMore(o) {
		for e, err := range q.store.Journal().Find(context.Background(), journal.Query{Message: o.ID.String()}) {
			if err != nil {
				q.log.Error("the journal does not tell a report what was tried", zap.Stringer("id", o.ID), zap.Error(err))
				break
			}
			found[e.Domain] = found[e.Domain].add(e.Attempt)
		}
	}
	for _, e := range s.Entries {
		found[e.Domain] = found[e.Domain].add(e.Attempt)
	}
	for i, r := range list {
		list[i].Tried, list[i].NotListed = found[r.Final.Domain].list()
	}
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
		h[n].Reason, h[n].Last = c.Reason, a.Ended
		if c.Verdict != mail.VerdictSkipped {
			h[n].Times++
		}
	}
	return h
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
