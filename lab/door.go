package lab

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// door is the listener of one address. It opens, shuts and goes silent while the server behind it runs on.
type door struct {
	place Place
	at    netip.AddrPort

	mu       sync.Mutex
	changed  *sync.Cond
	reach    Reach
	listener net.Listener // while it is open
	quiet    func() error // ends the silence
	closed   bool
}

func newDoor(place Place, at netip.AddrPort) *door {
	d := &door{place: place, at: at, reach: ReachRefused}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// set changes how the address can be reached.
func (d *door) set(to Reach) (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.reach == to {
		return nil
	}
	if err = d.shut(); err != nil {
		return err
	}
	switch to {
	case ReachUp:
		d.listener, err = d.place.open(d.at)
	case ReachTimeout:
		d.quiet, err = d.place.silence(d.at)
	}
	if err != nil {
		return inUse(d.at.String(), err)
	}
	d.reach = to
	d.changed.Broadcast()
	return nil
}

// shut ends what is there. The caller holds the lock.
func (d *door) shut() (err error) {
	if d.listener != nil {
		err = d.listener.Close()
	}
	if d.quiet != nil {
		err = errors.Join(err, d.quiet())
	}
	d.listener, d.quiet, d.reach = nil, nil, ReachRefused
	return err
}

// Accept waits for the next connection, also where the door is shut meanwhile.
func (d *door) Accept() (net.Conn, error) {
	for {
		l, err := d.opened()
		if err != nil {
			return nil, err
		}
		conn, err := l.Accept()
		if err == nil {
			return conn, nil
		}
		if err := d.lost(l, err); err != nil {
			return nil, err
		}
	}
}

// opened waits until the door is open.
func (d *door) opened() (net.Listener, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.listener == nil && !d.closed {
		d.changed.Wait()
	}
	if d.closed {
		return nil, net.ErrClosed
	}
	return d.listener, nil
}

// lost says whether the error of a listener means more than that the door was shut.
func (d *door) lost(l net.Listener, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.listener == l {
		return err
	}
	return nil
}

// Close shuts the door for good.
func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	defer d.changed.Broadcast()
	return d.shut()
}

// Addr returns a *net.TCPAddr.
func (d *door) Addr() net.Addr { return net.TCPAddrFromAddrPort(d.at) }
