package main

import (
	"errors"
	"net"
	"strconv"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// demoZone is the DNS of the demonstration. Nobody listens on the address of mx1.primary-down.test.
const demoZone = `
primary-down.test.      MX  10 mx1.primary-down.test.
primary-down.test.      MX  20 mx2.primary-down.test.
mx1.primary-down.test.  A   127.0.1.1
mx2.primary-down.test.  A   127.0.1.2

no-mx.test.             A   127.0.1.3

greylisting.test.       MX  10 mx.greylisting.test.
mx.greylisting.test.    A   127.0.1.4

; the sender's own domain, where reports go, and the name of the agent
shop.test.              MX  10 mx.shop.test.
mx.shop.test.           A   127.0.1.5
agent.shop.test.        A   127.0.0.1
`

// demoLab is the small internet: a DNS server, and mail servers that listen on one port, each on its own address, as they do in the world.
type demoLab struct {
	dns        *dnstest.Server
	port       int
	exchangers []*smtptest.Server
	mailbox    *smtptest.Server // that of the sender
}

func openDemoLab() (*demoLab, error) {
	dns, err := dnstest.Start(demoZone)
	if err != nil {
		return nil, err
	}
	l := &demoLab{dns: dns}
	for _, port := range []int{demoPort, 0} {
		if l.port, err = l.listen(port); err == nil {
			return l, nil
		}
	}
	return nil, errors.Join(err, l.Close())
}

// listen starts the exchangers on a port, which is a free one for 0.
func (l *demoLab) listen(port int) (int, error) {
	for _, x := range []struct{ address, dialogue string }{
		{"127.0.1.2", "name mx2.primary-down.test"},
		{"127.0.1.3", "name no-mx.test"},
		{"127.0.1.4", "name mx.greylisting.test\nconnection #1\nrcpt 450 4.2.0 greylisted: come again in a moment"},
		{"127.0.1.5", "name " + demoMailbox},
	} {
		listener, err := net.Listen("tcp", net.JoinHostPort(x.address, strconv.Itoa(port)))
		if err != nil {
			return 0, errors.Join(err, l.closeExchangers())
		}
		server, err := smtptest.Start(x.dialogue, listener)
		if err != nil {
			return 0, errors.Join(err, listener.Close(), l.closeExchangers())
		}
		l.exchangers = append(l.exchangers, server)
		l.mailbox, port = server, int(server.AddrPort().Port())
	}
	return port, nil
}

func (l *demoLab) closeExchangers() error {
	var errs []error
	for _, s := range l.exchangers {
		errs = append(errs, s.Close())
	}
	l.exchangers = nil
	return errors.Join(errs...)
}

// Close ends the servers.
func (l *demoLab) Close() error { return errors.Join(l.dns.Close(), l.closeExchangers()) }
