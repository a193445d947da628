package lab

import (
	"context"
	"net"
)

// Resolver is one of package net that asks the world's DNS server, on loopback or in memory: for the application that looks up exchangers itself. It does not
// work in a testing/synctest bubble, because package net keeps something of its own outside.
func (w *World) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
		return w.dns.Dial(ctx, "tcp", address) // of a connection in memory package net believes that it is a stream
	}}
}
