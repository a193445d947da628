package main

import (
	"context"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"sternpost/lab"
	"sternpost/mail"
	"sternpost/queue"
	"sternpost/queue/spool"
)

// labWorld is the world around the agent in the lab: nothing of it is outside of the bubble, and all that is left to chance comes from the seed.
//
// In a bubble instants are exact. What happens in the same one happens in an order that the scheduler of Go draws, and a host that turns away the fourth message would turn
// away another one each time. So no two things happen in the same instant: attempts begin a little late, and whatever is sent takes a little while; how long, is a function of what it is.
func labWorld(w *lab.World, seed uint64) world {
	random := rand.NewPCG(seed, 0)
	return world{
		openStore: spool.OpenMemory,
		dial: func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
			conn, err := w.Network().DialFrom(ctx, "tcp", local, remote)
			return distant(conn, remote.String()), err
		},
		dialDNS: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := w.DNS().Dial(ctx, network, address)
			return distant(conn, address), err
		},
		carry:     func(d queue.Deliverer) queue.Deliverer { return staggered{d} },
		addresses: func() ([]netip.Addr, error) { return nil, nil },
		handles:   func() int { return 0 },
		gather:    labGather,
		random:    random.Uint64,
	}
}

// staggered lets attempts begin late, each by a time of its own.
type staggered struct{ queue.Deliverer }

// Deliver implements queue.Deliverer.
func (s staggered) Deliver(ctx context.Context, t mail.Transaction) mail.Attempt {
	time.Sleep(lag(t))
	return s.Deliverer.Deliver(ctx, t)
}

// Site implements queue.Deliverer.
func (s staggered) Site(ctx context.Context, domain mail.Domain) (name string, until time.Time) {
	time.Sleep(within(lagStep, string(domain)))
	return s.Deliverer.Site(ctx, domain)
}

const (
	lagStep  = 10 * time.Microsecond
	lagSteps = 4096
	mostLag  = (lagSteps + 1) * lagStep
	// labGather is longer than no time at all, and shorter than anybody could notice.
	labGather = 50 * time.Microsecond
)

// lag is how late an attempt begins. Of messages that came within some seconds, the one that came first begins first.
func lag(t mail.Transaction) time.Duration {
	id, err := queue.ParseID(t.Message)
	if err != nil {
		return 0 // of no queue
	}
	// The upper bits of an id are milliseconds, the lower ones count within them.
	step := (uint64(id)>>20 + 61*(uint64(id)&(1<<20-1))) % lagSteps
	return time.Duration(step)*lagStep + within(lagStep, t.Message, string(t.Domain), strconv.Itoa(t.Attempt))
}

// within is a time from 1 ns up to most that hangs on the words.
func within(most time.Duration, words ...string) time.Duration {
	h := fnv.New64a()
	for _, w := range words {
		_, _ = io.WriteString(h, w+"\x00") // a hash takes everything
	}
	return 1 + time.Duration(h.Sum64()%uint64(most))
}

// distance is a connection on which what is written takes its time.
type distance struct {
	net.Conn
	takes time.Duration
}

// mostDistance is longer than what is written can take.
const mostDistance = time.Microsecond

// distant puts some distance between us and the other end; to and the instant say how much.
func distant(conn net.Conn, to string) net.Conn {
	if conn == nil {
		return nil
	}
	return distance{conn, within(mostDistance, to, strconv.FormatInt(time.Now().UnixNano(), 10))}
}

// Write implements net.Conn. The other end has what was written neither when we begin nor when we are done: what it does some time after that, and what we do then, do not
// meet in one instant.
func (d distance) Write(b []byte) (int, error) {
	time.Sleep(d.takes)
	n, err := d.Conn.Write(b)
	time.Sleep(d.takes)
	return n, err
}
