package delivery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"sternpost/mail"
	"sternpost/resolver"
)

// What a probe costs at most, whatever the DNS of a stranger says.
const (
	maxProbed    = 100             // addresses
	probeStage   = time.Minute     // each stage up to RCPT
	probeAddress = 2 * time.Minute // all stages of one address together
)

// ProbeConfig is c with the patience of somebody who waits for the result: no stage up to RCPT has more than a minute. All the rest stays.
func ProbeConfig(c Config) Config {
	t := &c.Timeouts
	for _, limit := range []*time.Duration{&t.Connect, &t.Greeting, &t.Hello, &t.StartTLS, &t.Auth, &t.Mail, &t.Rcpt} {
		*limit = min(*limit, probeStage)
	}
	return c
}

// ProbeRequest says what a probe asks.
type ProbeRequest struct {
	From      mail.ReversePath
	Recipient mail.Address
	// Unknown is an address of the same domain that nobody has, asked beside Recipient; zero: that is not asked.
	Unknown mail.Address
	// Content is what MAIL speaks of (its SIZE, and whether it needs SMTPUTF8). It is never sent.
	Content mail.Content
	// Through is the only host that is asked, by name or by its number, which counts from 1. Empty: all are.
	Through string
	// OnlyMX asks the exchangers of the domain although a route of the configuration takes its mail elsewhere.
	OnlyMX bool
	// Pause lies between two sessions. Budget is the time for all together; what it leaves out is told.
	Pause, Budget time.Duration
	// Asking is called before each address is asked. May be nil.
	Asking func(host string, address netip.Addr)
}

// rehearsal is what a session notes that stops before DATA.
type rehearsal struct {
	chain []*x509.Certificate
}

// Probe asks every exchanger and every address of the domain what Deliver would ask, in the order in which it would try them, and stops before DATA: nothing is sent. Health
// and the limits of an attempt do not count, and the list is not cut at us; addresses that no exchanger can have are left alone all the same. There is one session at a time.
//
// It uses the planner and the stations of Deliver, so that both judge alike. The error says that Through, or a mask, names no host; the list of hosts is in it.
func (a *Agent) Probe(ctx context.Context, r ProbeRequest) (Probe, error) {
	t := mail.Transaction{Message: "probe", Attempt: 1, Domain: r.Recipient.Domain, Content: r.Content, Envelope: r.envelope()}
	w := a.begin(ctx, t)
	w.budget.total, w.tree.Budget = r.Budget, r.Budget
	p := Probe{
		Recipient: r.Recipient, Unknown: r.Unknown, Sender: r.From, Domain: t.Domain, Hostname: a.hostname, Started: w.tree.Started.UTC(), Hosts: []ProbedHost{},
		Pretended: append([]string{}, w.tree.Pretended...),
	}
	message, err := newMessage(t)
	if err != nil {
		return p, err
	}
	route := findRoute(a.config.Routes, t.Domain)
	if r.OnlyMX {
		route.Smarthosts = nil
	}
	terms, failure := w.lookUp(route, a.openScreen())
	terms.listed, terms.shuffle.Limit, terms.outlook = true, 0, func(target) outlook { return outlook{} }
	w.plan = makePlan(terms)
	if err = hit(w.plan, a.masks); err != nil {
		return p, err
	}
	if p.Through, err = choose(w.plan, r.Through); err != nil {
		return p, err
	}
	cut(w.plan, maxProbed)
	p.Rule, p.exchangers, p.failure = w.tree.Rule, w.found, failure
	if failure != nil {
		p.Status, p.Error = failure.Status, failure.Reason
	}
	(&rounds{Agent: a, request: r, message: message, transaction: t, probe: &p, plan: w.plan, ends: w.tree.Started.Add(r.Budget)}).walk(ctx)
	w.budget.used = min(time.Since(w.tree.Started), r.Budget)
	w.rcpts = nil // a probe has no outcomes: nothing was delivered, nothing failed
	p.Attempt = w.finish()
	p.Ended = p.Attempt.Ended.UTC()
	return p, nil
}

func (r ProbeRequest) envelope() mail.Envelope {
	e := mail.Envelope{From: r.From, Recipients: []mail.Recipient{{Address: r.Recipient}}}
	if !r.Unknown.IsZero() {
		e.Recipients = append(e.Recipients, mail.Recipient{Address: r.Unknown})
	}
	return e
}

// openScreen refuses what no exchanger can have, and does not know who we are: whoever looks after an exchanger probes from there too.
func (a *Agent) openScreen() resolver.Screen {
	s := a.screen
	s.OwnHosts, s.OwnAddresses, s.Listeners = nil, nil, nil
	return s
}

// cut skips what goes beyond the limit. It is not that of an attempt, which shares its places among the hosts: a list as long as this is nobody's.
func cut(plan []*candidate, limit int) {
	for _, c := range plan {
		if limit == 0 && c.open() {
			c.skip(reasonLimit)
		} else if c.open() {
			limit--
		}
	}
}

// hostNames lists the hosts of a plan, each once.
func hostNames(plan []*candidate) []string {
	var names []string
	for _, c := range plan {
		if !slices.Contains(names, c.Host) {
			names = append(names, c.Host)
		}
	}
	return names
}

// choose leaves one host in the plan, and returns its name. All stay where none is named.
func choose(plan []*candidate, through string) (string, error) {
	names := hostNames(plan)
	if through == "" || len(names) == 0 {
		return "", nil
	}
	name, _ := canonicalHost(through)
	if n, err := strconv.Atoi(through); err == nil && n >= 1 && n <= len(names) {
		name = names[n-1]
	}
	if !slices.Contains(names, name) {
		return "", noExchanger(through, names)
	}
	only(plan, name)
	return name, nil
}

// noExchanger says that a name is of none of the hosts.
func noExchanger(name string, names []string) error {
	list := ""
	for i, known := range names {
		list += fmt.Sprintf("\n%d %s", i+1, mail.Escape(known))
	}
	return fmt.Errorf("no exchanger is %q; there are:%s", name, list)
}

// hit refuses a mask of a host that is not in the plan: what is asked then would look like what was meant, and be all well.
func hit(plan []*candidate, masks []Mask) error {
	for _, m := range masks {
		covered := func(c *candidate) bool { return m.covers(c.Host, c.Address) }
		if m.host != "" && len(plan) > 0 && !slices.ContainsFunc(plan, covered) {
			return fmt.Errorf("pretend %q: %w", m.text, noExchanger(m.host, hostNames(plan)))
		}
	}
	return nil
}

// rounds is a probe on its way over the plan.
type rounds struct {
	*Agent
	request     ProbeRequest
	message     *message
	transaction mail.Transaction
	probe       *Probe
	plan        []*candidate
	ends        time.Time
}

// walk asks all candidates, one after the other.
func (r *rounds) walk(ctx context.Context) {
	asked := false
	names := hostNames(r.plan)
	for _, c := range r.plan {
		masked := findMask(r.masks, c.Host, c.Address) != nil
		if asked && c.open() && !masked {
			pause(ctx, r.request.Pause)
		}
		left := time.Until(r.ends)
		if c.open() && (left <= 0 || ctx.Err() != nil) {
			c.skip(reasonNoTime)
			if ctx.Err() != nil {
				c.Reason = reasonCalledOff
			}
		}
		h := ProbedHost{
			Number: slices.Index(names, c.Host) + 1, Host: c.Host, Preference: c.Preference, Address: c.Address, Port: c.Port,
			Extensions: []string{}, Certificates: []Certificate{}, Faults: []Fault{},
		}
		if c.open() {
			if r.request.Asking != nil {
				r.request.Asking(c.Host, c.Address)
			}
			r.ask(ctx, c, min(left, probeAddress), &h)
			asked = asked || !masked
		} else {
			h.skipped(c.Reason)
		}
		r.probe.Hosts = append(r.probe.Hosts, h)
	}
}

// Why an address was not asked, beside what the plan says.
const (
	reasonNotAsked  = "not asked: "
	reasonNoTime    = reasonNotAsked + "the time of the probe is used up"
	reasonLimit     = reasonNotAsked + "the list is too long"
	reasonCalledOff = reasonNotAsked + "the probe was called off"
)

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// ask makes an attempt of which c is the only candidate, and stops before DATA. What it comes to is what c would come to if it were the only exchanger.
func (r *rounds) ask(ctx context.Context, c *candidate, limit time.Duration, h *ProbedHost) {
	w := r.begin(ctx, r.transaction)
	w.message, w.plan, w.least, w.budget, w.rehearsal = r.message, []*candidate{c}, c.name(), budget{total: limit}, new(rehearsal)
	c.lastResort = true // health does not count
	began := time.Now()
	if h.Pretended = w.pretend(c); !h.Pretended {
		if s := w.fresh(c); s != nil {
			results := w.carry(s)
			h.took(time.Since(began))
			w.judge(c, results)
			w.close(c, s)
		}
	}
	if h.Took == 0 {
		h.took(time.Since(began))
	}
	w.interrupted = ctx.Err() != nil
	w.conclude()
	for i, p := range w.rcpts {
		said := w.said(p)
		if i == 0 {
			h.ProbedReply = said
		} else {
			h.Unknown = &said
		}
	}
	if c.Verdict == mail.VerdictDelivered {
		c.Verdict = mail.VerdictAccepted
	}
	h.observe(c, w.rehearsal.chain, r.roots(c.target))
}

// said is what one recipient was answered.
func (w *walk) said(p *pending) ProbedReply {
	o := p.outcome
	s := ProbedReply{Stage: o.Stage, Status: o.Status, Reply: append([]string{}, o.Reply.Lines...), Reason: o.Reason}
	if !o.Reply.IsZero() {
		s.Code = &o.Reply.Code
	}
	switch e := p.headline; {
	case o.Disposition == mail.Delivered:
		s.Answer, s.Stage, s.Reason = AnswerAccepts, mail.StageRcpt, ""
	case e != nil && classify(*e).rank == rankCapability:
		s.Answer = AnswerUnable
	case o.Disposition == mail.Failed:
		s.Answer = AnswerRefuses
	case o.Scope == mail.ScopeLocal, e != nil && errors.Is(e.err, syscall.ENETUNREACH):
		s.Answer = AnswerUntested
	case o.Reply.IsZero(), beforeMail(o.Stage):
		s.Answer = AnswerDown
	default:
		s.Answer = AnswerDefers
	}
	return s
}
