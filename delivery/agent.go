package delivery

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/resolver"
)

// Deps is what an Agent is handed. Only Resolver is required.
type Deps struct {
	Resolver *resolver.Resolver
	// Dial opens connections; nil: those of the real network.
	Dial Dialer
	// Log gets alarms; the delivery lines are the queue's. Nil: nobody.
	Log *zap.Logger
	// Seed is the source of all randomness, together with the message's id and the number of the attempt.
	Seed uint64
	// Masks are the hosts that are pretended to be broken (--pretend).
	Masks []Mask
	// Own are the addresses of the network interfaces, used where the configuration names none.
	Own []netip.Addr
	// Listeners are the ends that we listen on ourselves.
	Listeners []netip.AddrPort
}

// Agent delivers. It is safe for concurrent use; one serves the whole process, because health and idle sessions are shared.
type Agent struct {
	config   Config
	hostname string
	resolver *resolver.Resolver
	dialer   Dialer
	log      *zap.Logger
	seed     uint64
	masks    []Mask
	guard    mail.Guard
	screen   resolver.Screen
	health   *health
	idle     *idle
	lines    *lines
	ending   sync.WaitGroup // sessions that say QUIT

	mu         sync.Mutex
	rest       map[credentialKey]time.Time  // until when credentials are not shown
	clearUntil map[netip.AddrPort]time.Time // addresses that get mail without TLS
}

// New makes an Agent. The error is that of Config.Check.
func New(c Config, d Deps) (*Agent, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	hostname, err := ownName(c.Hostname)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		config: c, hostname: hostname, resolver: d.Resolver, dialer: d.Dial, log: d.Log, seed: d.Seed, masks: d.Masks,
		health: newHealth(), idle: newIdle(c.MaxIdle, c.SessionIdle), lines: newLines(c.MaxPerAddress),
		rest: make(map[credentialKey]time.Time), clearUntil: make(map[netip.AddrPort]time.Time),
	}
	if a.dialer == nil {
		a.dialer = dialTCP
	}
	if a.log == nil {
		a.log = zap.NewNop()
	}
	a.guard, _ = c.Guard() // Check has found no fault in it
	a.config.Routes = canonicalRoutes(c.Routes)
	a.screen = newScreen(c, hostname, d)
	return a, nil
}

// ownName is the name that we give in EHLO.
func ownName(configured string) (string, error) {
	name := configured
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("delivery.hostname is not set, and this machine does not tell its name: %w", err)
		}
	}
	domain, err := mail.ParseDomain(name)
	if err != nil {
		return "", fmt.Errorf("delivery.hostname: %w; set it to a name that others can look up", err)
	}
	return string(domain), nil
}

func newScreen(c Config, hostname string, d Deps) resolver.Screen {
	own := c.OwnAddresses
	if len(own) == 0 {
		own = slices.DeleteFunc(slices.Clone(d.Own), func(ip netip.Addr) bool {
			return slices.ContainsFunc(c.AllowAddresses, func(p netip.Prefix) bool { return p.Contains(ip) })
		})
	}
	names := []string{hostname}
	for _, host := range c.OwnHosts {
		if domain, err := mail.ParseDomain(host); err == nil { // Check has seen it
			names = append(names, string(domain))
		}
	}
	return resolver.Screen{
		OwnHosts: names, OwnAddresses: own, Listeners: spelledOut(d.Listeners, d.Own), Port: c.Port,
		Allow: c.AllowAddresses, BlockPrivate: c.BlockPrivate, NoIPv4: !c.IPv4, NoIPv6: !c.IPv6,
	}
}

// spelledOut puts every address of the interfaces in the place of an unspecified one: a listener there hears them all.
func spelledOut(listeners []netip.AddrPort, own []netip.Addr) []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range listeners {
		all = append(all, l)
		if l.Addr().IsUnspecified() {
			for _, ip := range own {
				all = append(all, netip.AddrPortFrom(ip, l.Port()))
			}
		}
	}
	return all
}

// Screen is what keeps mail from going to ourselves and to addresses that no exchanger can have.
func (a *Agent) Screen() resolver.Screen { return a.screen }

// Hostname is our name in EHLO.
func (a *Agent) Hostname() string { return a.hostname }

// Close says QUIT on all idle sessions and waits for everything that the agent began. No Deliver may be under way or follow.
func (a *Agent) Close() error {
	a.idle.close()
	a.ending.Wait()
	return nil
}

// NameWarning says what is wrong with our name in EHLO; empty: nothing is. Remotes refuse names that do not resolve (RFC 5321 s4.1.4
// forbids it; they answer 504 or 550 all the same).
func (a *Agent) NameWarning(ctx context.Context) string {
	if !strings.Contains(a.hostname, ".") {
		return fmt.Sprintf("our name %q is not a full host name: many servers will refuse our mail; set delivery.hostname", a.hostname)
	}
	host, _ := a.resolver.Host(ctx, a.hostname)
	switch {
	case len(host.Addresses) > 0:
		return ""
	case host.Unsure:
		return fmt.Sprintf("our name %q could not be looked up: %s", a.hostname, host.Skipped)
	default:
		return fmt.Sprintf("our name %q does not resolve (%s): many servers will refuse our mail; set delivery.hostname to a name with an A or AAAA record",
			a.hostname, cmp.Or(host.Skipped, "no address"))
	}
}

// Deliver makes one attempt: route, plan, walk. The tree that it returns has exactly one outcome for each recipient of t, in their order.
func (a *Agent) Deliver(ctx context.Context, t mail.Transaction) mail.Attempt {
	return a.DeliverThrough(ctx, t, "")
}

// DeliverThrough is Deliver by one exchanger only, named as the DNS has it: no other is tried. Empty: by all, in their order.
func (a *Agent) DeliverThrough(ctx context.Context, t mail.Transaction, host string) mail.Attempt {
	w := a.begin(ctx, t)
	w.guardRecipients()
	if len(w.owed()) == 0 && len(w.rcpts) > 0 {
		return w.finish()
	}
	err := t.Envelope.Check()
	if err == nil {
		w.message, err = newMessage(t)
	}
	if err != nil {
		w.failAll(&event{stage: mail.StagePolicy, cause: causeLocal, err: err})
		return w.finish()
	}
	terms, failure := w.lookUp(findRoute(w.config.Routes, w.t.Domain), w.screen)
	if host != "" {
		terms.shuffle.Limit = 0
	}
	w.plan = makePlan(terms)
	if host != "" {
		only(w.plan, host)
	}
	w.least = leastPreferred(w.plan)
	switch {
	case w.ctx.Err() != nil: // whatever the DNS said, we did not hear it out
		w.failAll(&event{stage: mail.StageResolve, cause: causeLocal, err: context.Cause(w.ctx)})
	case failure != nil:
		w.leadNowhere(failure)
	default:
		w.run()
	}
	return w.finish()
}

// begin starts the tree of an attempt.
func (a *Agent) begin(ctx context.Context, t mail.Transaction) *walk {
	t.Attempt = max(t.Attempt, 1)
	w := &walk{
		Agent: a, ctx: ctx, cutoff: ctx, t: t, answered: make(map[string]bool), doubted: make(map[netip.AddrPort]bool), budget: budget{total: a.config.Timeouts.Attempt},
		tree: &mail.Attempt{
			ID: fmt.Sprintf("%s/%s/%d", t.Message, t.Domain, t.Attempt), Message: t.Message, Number: t.Attempt, Domain: t.Domain,
			Started: time.Now(), Budget: a.config.Timeouts.Attempt, Rule: mail.RuleNone,
		},
	}
	if t.Stopping != nil {
		w.ctx = t.Stopping
	}
	for _, m := range a.masks {
		w.tree.Pretended = append(w.tree.Pretended, m.text)
	}
	for _, r := range t.Envelope.Recipients {
		w.rcpts = append(w.rcpts, &pending{Recipient: r})
	}
	return w
}

// lookUp finds the hosts of the route, and the terms of the plan.
func (w *walk) lookUp(route Route, screen resolver.Screen) (terms, *resolver.Failure) {
	t := terms{
		port: w.config.Port, level: route.level(), smarthosts: route.Smarthosts, outlook: w.outlook,
		shuffle: resolver.Shuffle{Seed: w.seedFor(), Attempt: w.t.Attempt, Limit: w.config.MaxAddresses},
	}
	began := time.Now()
	ctx, cancel := context.WithDeadlineCause(w.ctx, began.Add(w.budget.share(false)), errBudget)
	defer cancel()
	defer func() { w.budget.spend(time.Since(began)) }()
	if len(route.Smarthosts) > 0 {
		return w.lookUpSmarthosts(ctx, t)
	}
	x := screen.Apply(w.resolver.Exchangers(ctx, w.t.Domain))
	w.found = x
	w.tree.Rule, w.tree.DNS = x.Rule, x.Lookups
	t.hosts = x.Hosts
	return t, x.Failure
}

// lookUpSmarthosts finds the addresses of smarthosts; their turn is their preference. What the configuration says is neither cut at us nor screened:
// a relay on this machine is a common thing.
func (w *walk) lookUpSmarthosts(ctx context.Context, t terms) (terms, *resolver.Failure) {
	w.tree.Rule = mail.RuleSmarthost
	reachable := false
	for turn, s := range t.smarthosts {
		host, lookups := w.resolver.Host(ctx, s.Host)
		host.Preference = turn
		for i, address := range host.Addresses {
			if address.IP.Is4() && !w.config.IPv4 || address.IP.Is6() && !w.config.IPv6 {
				host.Addresses[i].Skipped = "its address family is switched off"
			} else {
				reachable = true
			}
		}
		t.hosts = append(t.hosts, host)
		w.tree.DNS = append(w.tree.DNS, lookups...)
	}
	if reachable {
		return t, nil
	}
	// A smarthost that cannot be found is an error of ours; the mail waits until it is mended.
	return t, &resolver.Failure{Disposition: mail.Deferred, Status: mail.Status{4, 4, 3}, Reason: "no smarthost of the route has an address"}
}

// outlook is what health and refused credentials say about a target now.
func (w *walk) outlook(t target) outlook {
	now := time.Now()
	return outlook{unhealthy: w.health.skip(t.addr, now), resting: w.resting(t)}
}

// seedFor derives the randomness of the message's plans. The number of the attempt goes in separately, so that what one attempt left
// out comes first in the next.
func (w *walk) seedFor() uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, w.t.Message+"/"+string(w.t.Domain)) // a hash takes everything
	return h.Sum64() ^ w.seed
}

// leadNowhere gives all recipients the verdict on a domain that has no host to try. Its hosts stand in the tree with their reasons.
func (w *walk) leadNowhere(f *resolver.Failure) {
	for _, p := range w.owed() {
		p.outcome = &mail.Outcome{
			Recipient: p.Address, Disposition: f.Disposition, Scope: mail.ScopeDestination, Stage: mail.StageResolve,
			Status: f.Status, Reason: f.Reason,
		}
	}
}

// failAll gives all recipients one event.
func (w *walk) failAll(e *event) {
	v := classify(*e)
	for _, p := range w.owed() {
		o := e.outcome(p.Address, v)
		p.outcome = &o
	}
}

// alarm reports refused or missing credentials, loudly: nothing goes through this smarthost until a person acts.
func (w *walk) alarm(t target, e *event) {
	if t.smarthost == nil || e.pretended {
		return
	}
	said := "smarthost wants credentials, and has none in the configuration"
	if t.credentials() {
		said = "smarthost refuses our credentials"
		w.restCredentials(t.smarthost, time.Now())
	}
	w.log.Error(said, zap.String("host", t.host), zap.String("username", t.smarthost.Username), zap.String("reason", e.reason()))
}

// finish completes the tree.
func (w *walk) finish() mail.Attempt {
	for _, c := range w.plan {
		w.tree.Candidates = append(w.tree.Candidates, c.Candidate)
	}
	for _, p := range w.rcpts {
		w.tree.Outcomes = append(w.tree.Outcomes, *p.outcome)
	}
	w.tree.Used, w.tree.Ended = w.budget.used, time.Now()
	return *w.tree
}
