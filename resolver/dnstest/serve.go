package dnstest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// servePipe serves datagrams over a pipe, which keeps the bounds of what is written to it.
func (s *Server) servePipe(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(s.ctx, func() { conn.Close() })()
	buffer := make([]byte, dns.MaxMsgSize)
	var wg sync.WaitGroup
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			break
		}
		packet := slices.Clone(buffer[:n])
		wg.Go(func() { s.reply("udp", packet, conn.Write) })
	}
	conn.Close() // frees the writers of late replies
	wg.Wait()
}

func (s *Server) serveDatagrams(conn net.PacketConn) {
	buffer := make([]byte, dns.MaxMsgSize)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		packet := slices.Clone(buffer[:n])
		wg.Go(func() {
			s.reply("udp", packet, func(p []byte) (int, error) { return conn.WriteTo(p, from) })
		})
	}
}

func (s *Server) serveStreams(listener net.Listener) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { s.serveStream(conn) })
	}
}

// serveStream serves the queries of one connection one after the other (RFC 1035 s4.2.2).
func (s *Server) serveStream(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(s.ctx, func() { conn.Close() })()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, packet); err != nil {
			return
		}
		goOn := s.reply("tcp", packet, func(p []byte) (int, error) {
			return conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...))
		})
		if !goOn {
			return
		}
	}
}

// reply answers one packet by write. It says whether the connection may go on.
func (s *Server) reply(network string, packet []byte, write func([]byte) (int, error)) bool {
	query := new(dns.Msg)
	if query.Unpack(packet) != nil || len(query.Question) != 1 || query.Response {
		return false
	}
	z := s.note(query.Question[0], network)
	fault := z.fault(query.Question[0])
	if !s.wait(fault.Delay) || fault.CloseTCP && network == "tcp" {
		return false
	}
	out, err := z.packets(query, fault, network)
	if err != nil {
		return false
	}
	s.tell(query.Question[0], network, out)
	for _, p := range out {
		if _, err := write(p); err != nil {
			return false
		}
	}
	return true
}

// tell observes the answer that out, whose last packet is the reply, gives to q.
func (s *Server) tell(q dns.Question, network string, out [][]byte) {
	s.mu.Lock()
	observe := s.observe
	s.mu.Unlock()
	if observe == nil {
		return
	}
	a := Answer{Question: questionOf(q, network)}
	const header = 12 // octets (RFC 1035 s4.1.1)
	if len(out) > 0 && len(out[len(out)-1]) >= header {
		reply := out[len(out)-1]
		a.RCode = dns.RcodeToString[int(reply[3]&0x0f)]
		a.Records = int(binary.BigEndian.Uint16(reply[6:8]))
	}
	observe(a)
}

func questionOf(q dns.Question, network string) Question {
	return Question{strings.TrimSuffix(dns.CanonicalName(q.Name), "."), dns.TypeToString[q.Qtype], network}
}

// packets is all that is sent for query.
func (z *zone) packets(query *dns.Msg, fault Fault, network string) ([][]byte, error) {
	if fault.Drop {
		return nil, nil
	}
	packet, err := z.pack(query, fault, network)
	if fault.Stray && network == "udp" {
		return append(strays(query), packet), err
	}
	return [][]byte{packet}, err
}

// note counts the question and returns the zone as it is now.
func (s *Server) note(q dns.Question, network string) *zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.questions) == maxQuestions {
		s.questions = slices.Delete(s.questions, 0, maxQuestions/2)
	}
	s.questions = append(s.questions, questionOf(q, network))
	return s.zone
}

// wait lets d pass; false when the server is closed meanwhile.
func (s *Server) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// pack makes the reply to query and writes it out, truncated to what the client takes over UDP (RFC 6891 s6.2.5).
func (z *zone) pack(query *dns.Msg, fault Fault, network string) ([]byte, error) {
	reply := new(dns.Msg).SetReply(query)
	reply.RecursionAvailable = true
	reply.Compress = true
	size := dns.MinMsgSize
	if opt := query.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
		reply.SetEdns0(dns.DefaultMsgSize, opt.Do())
	}
	z.answer(reply)
	fault.shape(reply, query, network)
	if network == "udp" {
		reply.Truncate(size)
	}
	packet, err := reply.Pack()
	if err == nil && fault.Empty {
		packet = cutRecords(packet, reply)
	}
	return packet, err
}

// cutRecords ends the packet behind the question; the header still counts the records.
func cutRecords(packet []byte, reply *dns.Msg) []byte {
	head := dns.Msg{MsgHdr: reply.MsgHdr, Question: reply.Question}
	return packet[:head.Len()]
}
