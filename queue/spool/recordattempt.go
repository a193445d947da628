package spool

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"sternpost/mail"
)

// The tree of an attempt is kept whole, and first-try successes are most of all trees: so it is written as numbers where words repeat, and times count from
// the begin of the attempt. Read again it is the same tree.

func (w *writer) attempt(a *mail.Attempt) {
	text(w, a.ID)
	text(w, a.Message)
	w.number(uint64(a.Number))
	text(w, a.Domain)
	w.time(a.Started)
	w.since(a.Started, a.Ended)
	text(w, a.Rule)
	w.duration(a.Budget)
	w.duration(a.Used)
	w.texts(a.Pretended)
	w.number(uint64(len(a.DNS)))
	for _, l := range a.DNS {
		w.lookup(l)
	}
	w.number(uint64(len(a.Candidates)))
	for _, c := range a.Candidates {
		w.candidate(a.Started, c)
	}
	w.number(uint64(len(a.Outcomes)))
	for _, o := range a.Outcomes {
		w.address(o.Recipient)
		w.outcome(o)
	}
}

func (r *reader) attempt() *mail.Attempt {
	a := &mail.Attempt{ID: r.text(), Message: r.text(), Number: r.small(), Domain: mail.Domain(r.text()), Started: r.time()}
	a.Ended = r.since(a.Started)
	a.Rule, a.Budget, a.Used, a.Pretended = mail.Rule(r.text()), r.duration(), r.duration(), r.texts()
	for range r.count() {
		a.DNS = append(a.DNS, r.lookup())
	}
	for range r.count() {
		a.Candidates = append(a.Candidates, r.candidate(a.Started))
	}
	for range r.count() {
		recipient := r.address()
		o := r.outcome()
		o.Recipient = recipient
		a.Outcomes = append(a.Outcomes, o)
	}
	return a
}

func (w *writer) lookup(l mail.Lookup) {
	text(w, l.Name)
	text(w, l.Type)
	text(w, l.RCode)
	w.duration(l.TTL)
	w.flag(l.AD)
	w.flag(l.Stale)
	w.texts(l.Answers)
	text(w, l.Error)
}

func (r *reader) lookup() mail.Lookup {
	return mail.Lookup{
		Name: r.text(), Type: r.text(), RCode: mail.RCode(r.text()), TTL: r.duration(), AD: r.flag(), Stale: r.flag(), Answers: r.texts(), Error: r.text(),
	}
}

func (w *writer) candidate(started time.Time, c mail.Candidate) {
	text(w, c.Host)
	w.number(uint64(c.Preference))
	w.ip(c.Address)
	w.number(uint64(c.Port))
	text(w, c.Verdict)
	text(w, c.Reason)
	w.number(uint64(len(c.Stages)))
	for _, s := range c.Stages {
		w.stage(s.Stage)
		w.since(started, s.At)
		w.duration(s.Took)
		w.reply(s.Reply)
		text(w, s.Error)
	}
	w.flag(c.TLS != nil)
	if c.TLS != nil {
		w.tls(c.TLS)
	}
	w.flag(c.Reused)
	text(w, c.ClosedBy)
}

func (r *reader) candidate(started time.Time) mail.Candidate {
	c := mail.Candidate{
		Host: r.text(), Preference: r.small(), Address: r.ip(), Port: r.small(), Verdict: mail.Verdict(r.text()), Reason: r.text(),
	}
	for range r.count() {
		c.Stages = append(c.Stages, mail.StageRecord{
			Stage: r.stage(), At: r.since(started), Took: r.duration(), Reply: r.reply(), Error: r.text(),
		})
	}
	if r.flag() {
		c.TLS = r.tls()
	}
	c.Reused, c.ClosedBy = r.flag(), r.text()
	return c
}

func (w *writer) tls(t *mail.TLS) {
	text(w, t.Version)
	text(w, t.Cipher)
	w.flag(t.Verified)
	text(w, t.Error)
	w.texts(t.Names)
	text(w, t.Issuer)
	w.time(t.Expires)
}

func (r *reader) tls() *mail.TLS {
	return &mail.TLS{
		Version: r.text(), Cipher: r.text(), Verified: r.flag(), Error: r.text(), Names: r.texts(), Issuer: r.text(), Expires: r.time(),
	}
}

// stage is its place in mail.Stages from 1, or 0 and its name.
func (w *writer) stage(s mail.Stage) {
	place := slices.Index(mail.Stages(), s) + 1
	w.number(uint64(place))
	if place == 0 {
		text(w, s)
	}
}

func (r *reader) stage() mail.Stage {
	place := r.small()
	if place == 0 {
		return mail.Stage(r.text())
	}
	if stages := mail.Stages(); place <= len(stages) {
		return stages[place-1]
	}
	r.spoil()
	return ""
}

func (w *writer) reply(p mail.Reply) {
	w.number(uint64(p.Code))
	w.texts(p.Lines)
}

func (r *reader) reply() mail.Reply { return mail.Reply{Code: r.small(), Lines: r.texts()} }

func (w *writer) ip(ip netip.Addr) {
	b, _ := ip.MarshalBinary() // never fails
	text(w, b)
}

// duration is in nanoseconds; none is negative.
func (w *writer) duration(d time.Duration) { w.number(uint64(max(d, 0))) }

func (r *reader) duration() time.Duration {
	n := r.number()
	if n > 1<<63-1 {
		r.spoil()
		return 0
	}
	return time.Duration(n)
}

// since is a time as its distance from another one; zero stays zero.
func (w *writer) since(from, t time.Time) {
	w.flag(!t.IsZero())
	if !t.IsZero() {
		w.b = binary.AppendVarint(w.b, int64(t.Sub(from)))
	}
}

func (r *reader) since(from time.Time) time.Time {
	if !r.flag() {
		return time.Time{}
	}
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.spoil()
		return time.Time{}
	}
	r.b = r.b[size:]
	return from.Add(time.Duration(n))
}
