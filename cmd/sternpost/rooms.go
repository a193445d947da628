package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"sternpost/delivery"
	"sternpost/resolver"
)

// rooms are the parts of the program that take mail away.
type rooms struct {
	resolver *resolver.Resolver
	agent    *delivery.Agent
}

// openRooms builds the rooms. What d leaves out of the network is filled in from w.
func openRooms(w world, c *configuration, d delivery.Deps) (*rooms, error) {
	addresses, err := w.addresses()
	if err != nil {
		return nil, err
	}
	r, err := resolver.New(c.Resolver, w.dialDNS)
	if err != nil {
		return nil, fmt.Errorf("resolver: %w", err)
	}
	d.Resolver, d.Dial, d.Seed, d.Own = r, w.dial, w.random(), addresses
	if d.Listeners == nil {
		d.Listeners = listeners(c)
	}
	agent, err := delivery.New(c.Delivery, d)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &rooms{resolver: r, agent: agent}, nil
}

// listeners are the ends where mail comes in: mail must not go there. The agent need not run: what it will listen on counts. The list is never nil.
func listeners(c *configuration) []netip.AddrPort {
	list := []netip.AddrPort{}
	for _, text := range slices.Concat(c.Submission.Listen, c.Submission.ListenTLS) {
		if strings.HasPrefix(text, ":") {
			text = "[::]" + text
		}
		if at, err := netip.ParseAddrPort(text); err == nil {
			list = append(list, at)
		}
	}
	return list
}

// Close ends idle sessions and waits for all that is under way.
func (r *rooms) Close() error { return errors.Join(r.agent.Close(), r.resolver.Close()) }

// ownAddresses are the addresses of the network interfaces: mail must not go in circles.
func ownAddresses() ([]netip.Addr, error) {
	networks, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("the addresses of this machine: %w", err)
	}
	var list []netip.Addr
	for _, network := range networks {
		if prefix, err := netip.ParsePrefix(network.String()); err == nil {
			list = append(list, prefix.Addr().Unmap())
		}
	}
	return list, nil
}
