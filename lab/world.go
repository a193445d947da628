package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// World is a scenario that runs.
type World struct {
	scenario  Scenario
	place     Place
	port      uint16
	began     time.Time
	dns       *dnstest.Server
	authority *smtptest.Authority
	hosts     []*host
	watch     func(Event)

	cancel context.CancelFunc
	owned  sync.WaitGroup

	mu        sync.Mutex
	changed   *sync.Cond
	closed    bool
	events    int // so far
	questions int
	kept      kept
	sight     Sight
}

// host is one address with what runs there.
type host struct {
	Host
	door   *door
	server *smtptest.Server
	judge  *judge

	replies replies
	counted HostReport // guarded by the lock of the world
}

// Option changes how a world is opened.
type Option func(*World)

// Watch tells f every event while it happens, one at a time and in order. The world waits for f, which must not call the world.
func Watch(f func(Event)) Option { return func(w *World) { w.watch = f } }

// remembered is how many connections and transactions each smtptest server keeps. Nobody asks it for them: the world keeps what is told.
const remembered = 1

// Open starts the scenario at the place; its second 0 is now. The caller closes the world.
func Open(s Scenario, place Place, options ...Option) (*World, error) {
	const tries = 5 // a free port may be taken between our look at it and its use
	for try := 1; ; try++ {
		w, err := openAt(s, place, options)
		if err == nil || try == tries || !place.free() || !errors.Is(err, syscall.EADDRINUSE) {
			return w, err
		}
	}
}

func openAt(s Scenario, place Place, options []Option) (*World, error) {
	w := &World{scenario: s, place: place, began: time.Now()}
	w.changed = sync.NewCond(&w.mu)
	for _, o := range options {
		o(w)
	}
	if err := w.open(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.owned.Go(func() { w.tend(ctx) })
	return w, nil
}

func (w *World) open() (err error) {
	if w.dns, err = dnstest.Make(w.scenario.Zone); err != nil {
		return err
	}
	w.dns.Observe(w.heardQuestion)
	w.change(0)
	if w.port, err = w.place.settle(w.dns); err != nil {
		return err
	}
	if w.authority, err = smtptest.NewAuthority(); err != nil {
		return err
	}
	for _, h := range w.scenario.Hosts {
		if err := w.openHost(h); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) openHost(described Host) (err error) {
	h := &host{
		Host: described, door: newDoor(w.place, netip.AddrPortFrom(described.Address, w.port)),
		judge: newJudge(described, w.scenario.Seed, w.began), replies: newReplies(),
	}
	if err := h.door.set(h.Behaviour.reach(0)); err != nil {
		return err
	}
	h.server, err = smtptest.Start(h.Behaviour.script(h.Name, 0), h.door,
		smtptest.WithAuthority(w.authority), smtptest.WithDecision(h.judge.decide), smtptest.WithHistory(remembered),
		smtptest.WithObserver(func(e smtptest.Event) { w.heard(h, e) }))
	if err != nil {
		return errors.Join(err, h.door.Close())
	}
	w.hosts = append(w.hosts, h)
	return nil
}

// tend changes hosts and faults at the borders of their windows.
func (w *World) tend(ctx context.Context) {
	for _, border := range w.scenario.borders() {
		timer := time.NewTimer(time.Until(w.began.Add(border)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		w.change(border)
		for _, h := range w.hosts {
			if slices.Contains(h.Behaviour.borders(), border) {
				w.turn(h, border)
			}
		}
	}
}

// turn makes a host what it is from now on. One that goes down takes its connections with it.
func (w *World) turn(h *host, now time.Duration) {
	reach := h.Behaviour.reach(now)
	err := errors.Join(h.door.set(reach), h.server.SetScript(h.Behaviour.script(h.Name, now)))
	if reach != ReachUp {
		h.server.Cut()
	}
	w.tell(Event{Kind: EventReach, Host: h.Name, Address: h.Address.String(), Line: h.Behaviour.describe(now)})
	if err != nil {
		w.tell(Event{Kind: EventTrouble, Host: h.Name, Address: h.Address.String(), Error: err.Error()})
	}
}

// change sets the faults of the DNS server.
func (w *World) change(now time.Duration) {
	for _, f := range w.scenario.Faults {
		if now == f.Window.From {
			w.dns.Fault(f.Name, f.Type, f.Fault)
		} else if now == f.Window.To {
			w.dns.Fault(f.Name, f.Type, dnstest.Fault{})
		} else {
			continue
		}
		w.tell(Event{Kind: EventFault, Line: f.describe(now)})
	}
}

// Scenario is what the world was opened with.
func (w *World) Scenario() Scenario { return w.scenario }

// Began is the world's second 0.
func (w *World) Began() time.Time { return w.began }

// DNS is the server with the zone. Its Addr is what a resolver is set to on loopback, its Dial is for memory.
func (w *World) DNS() *dnstest.Server { return w.dns }

// Port is the port of all exchangers.
func (w *World) Port() int { return int(w.port) }

// Network is the network in memory, nil on loopback.
func (w *World) Network() *smtptest.Network { return w.place.network() }

// Dial connects to an address of the world, wherever it stands.
func (w *World) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if n := w.Network(); n != nil {
		return n.Dial(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// Authority signs the certificates of the hosts; a client that is to believe them trusts its roots.
func (w *World) Authority() *smtptest.Authority { return w.authority }

// Addr is where the host of that name listens, "127.0.1.1:2525".
func (w *World) Addr(name string) (string, error) {
	for _, h := range w.hosts {
		if slices.Contains(h.Names, name) {
			return h.door.at.String(), nil
		}
	}
	return "", fmt.Errorf("the zone of %s has no host %q", w.scenario.Name, name)
}

// Close ends the world and waits until nothing of it is left. What arrived can still be read.
func (w *World) Close() error {
	w.mu.Lock()
	w.closed = true
	w.changed.Broadcast()
	w.mu.Unlock()
	if w.cancel != nil {
		w.cancel()
	}
	w.owned.Wait()
	var errs []error
	for _, h := range w.hosts {
		errs = append(errs, h.server.Close())
	}
	if w.dns != nil {
		errs = append(errs, w.dns.Close())
	}
	return errors.Join(errs...)
}
