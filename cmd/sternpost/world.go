package main

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"sternpost/delivery"
	"sternpost/queue"
	"sternpost/queue/spool"
	"sternpost/resolver"
)

// world is what the agent has around it: the machine that it runs on and the network. There are two: the real one, and that of `lab run`.
type world struct {
	// openStore opens the embedded store.
	openStore func(spool.Config, *zap.Logger) (*spool.Store, error)
	// dial opens connections to exchangers; nil: those of the network of this machine. dialDNS opens those to DNS servers.
	dial    delivery.Dialer
	dialDNS resolver.Dialer
	// carry is what the queue sees of delivery.
	carry func(queue.Deliverer) queue.Deliverer
	// addresses are those of the network interfaces: mail must not go in circles.
	addresses func() ([]netip.Addr, error)
	// handles is how many attempts the limit of open files allows at the same time. 0: any number.
	handles func() int
	// gather is how long outcomes gather before they are committed: see queue.Deps.
	gather time.Duration
	// random gives the seeds of all that is left to chance.
	random func() uint64
}

func realWorld() world {
	return world{
		openStore: spool.OpenDirectory, dialDNS: new(net.Dialer).DialContext, addresses: ownAddresses, carry: func(d queue.Deliverer) queue.Deliverer { return d }, handles: attemptsByHandles, random: rand.Uint64,
	}
}
