package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"sternpost/mail"
)

// Dialer opens one connection; network is "udp" or "tcp". The DialContext of a net.Dialer is one.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// transport asks one server one question, once. Its fields do not change.
type transport struct {
	dial Dialer
	ids  func() uint16 // query ids that nobody can guess
}

// maxDatagram is more than a server may send that was told ednsSize.
const maxDatagram = 4096

// tcpWait is the time for a question over TCP: it has three round trips and no repetition.
const tcpWait = 5 * time.Second

// exchange asks over UDP, waiting at most wait; a server that does not know EDNS is asked without (RFC 6891 s6.2.2), and a truncated reply leads to
// TCP (RFC 7766 s5).
func (t transport) exchange(ctx context.Context, address string, q question, wait time.Duration) (*dns.Msg, *failure) {
	query := q.message(t.ids(), true)
	reply, fail := t.udp(ctx, address, query, wait)
	if fail == nil && rejectsEDNS(reply) {
		query = q.message(t.ids(), false)
		reply, fail = t.udp(ctx, address, query, wait)
	}
	if fail == nil && reply.Truncated {
		query.Id = t.ids()
		reply, fail = t.tcp(ctx, address, query)
		if fail != nil {
			fail.heard = true // over UDP
		}
	}
	return reply, fail
}

func rejectsEDNS(reply *dns.Msg) bool {
	return reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented || reply.Rcode == dns.RcodeBadVers
}

// leg is one way to a server: its network and address, and how a reply is read there.
type leg struct {
	network, address string
	read             func(net.Conn, *dns.Msg) (*dns.Msg, error)
}

// udp sends query from a socket of its own, so that the port is fresh, and connected, so that packets of others are dropped.
func (t transport) udp(ctx context.Context, address string, query *dns.Msg, wait time.Duration) (*dns.Msg, *failure) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return t.over(ctx, leg{"udp", address, readUDP}, query)
}

// readUDP reads until the reply comes or the deadline ends it.
func readUDP(conn net.Conn, query *dns.Msg) (*dns.Msg, error) {
	buffer := make([]byte, maxDatagram)
	var heard error
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, errors.Join(heard, err)
		}
		reply, err := accept(query, buffer[:n])
		if err == nil {
			return reply, nil
		}
		if errors.Is(err, errOther) {
			heard = err
		}
	}
}

func (t transport) tcp(ctx context.Context, address string, query *dns.Msg) (*dns.Msg, *failure) {
	ctx, cancel := context.WithTimeout(ctx, tcpWait)
	defer cancel()
	return t.over(ctx, leg{"tcp", address, readTCP}, query)
}

// errTruncated is a reply that says over TCP to come back over TCP.
var errTruncated = errors.New("is truncated over TCP")

// readTCP reads a message with its length before it (RFC 1035 s4.2.2). Over TCP a stray can only come from the server itself, so that the
// first message decides.
func readTCP(conn net.Conn, query *dns.Msg) (*dns.Msg, error) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, err
	}
	reply, err := accept(query, packet)
	if err == nil && reply.Truncated {
		return nil, errTruncated
	}
	return reply, err
}

// over dials, sends query and reads the reply. The connection ends with ctx.
func (t transport) over(ctx context.Context, l leg, query *dns.Msg) (*dns.Msg, *failure) {
	packet, err := query.Pack()
	if err != nil {
		return nil, &failure{rcode: mail.RCodeInvalid, text: err.Error()}
	}
	if l.network == "tcp" {
		packet = append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
	}
	conn, err := t.dial(ctx, l.network, l.address)
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	defer conn.Close()
	defer hangUp(ctx, conn)()
	if _, err := conn.Write(packet); err != nil {
		return nil, l.failed(ctx, err)
	}
	reply, err := l.read(conn, query)
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	return reply, nil
}

// hangUp ends reads and writes on conn when ctx ends. The function that it returns stops that, and waits for it.
func hangUp(ctx context.Context, conn net.Conn) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = conn.SetDeadline(time.Unix(1, 0)) // a connection that cannot be told is closed by its owner
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// failure is why a server gave no answer that can be used.
type failure struct {
	rcode mail.RCode
	text  string // for people; names the server
	heard bool   // all the same the server had sent something
}

// failed tells silence, and all trouble of the network is silence, from what came and was no reply of ours.
func (l leg) failed(ctx context.Context, err error) *failure {
	where := l.address + " over " + l.network + ": "
	for _, wrong := range []error{errOther, errStray, errTruncated} {
		if errors.Is(err, wrong) {
			return &failure{rcode: mail.RCodeInvalid, text: where + "what came " + wrong.Error(), heard: true}
		}
	}
	if ctx.Err() != nil {
		return &failure{rcode: mail.RCodeTimeout, text: where + "no reply in time"}
	}
	return &failure{rcode: mail.RCodeTimeout, text: where + mail.Escape(bare(err).Error())}
}

// bare is what the kernel said, without the addresses that stand beside it anyway.
func bare(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
