//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hostileVariable holds a plague for this program when it is to be the hostile client: that needs file handles of its own.
const hostileVariable = "STERNPOST_INTEROP_HOSTILE"

// plague is many hostile connections.
type plague struct {
	Behaviour   string
	Connections int
	Addresses   int
	To          string
}

// behaviours are what one connection does until it is ended. Each returns when the server hangs up; then another connection is made.
func behaviours() map[string]func(net.Conn) {
	return map[string]func(net.Conn){
		"silent":     func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"slowloris":  slowloris,
		"endless":    endless,
		"recipients": recipients,
		"early":      early,
		"stalled":    stalled,
		"half-hello": func(c net.Conn) { half(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
		"half-request": func(c net.Conn) {
			half(c, "POST /v1/messages HTTP/1.1\r\nHost: a\r\n")
		},
		"half-body": func(c net.Conn) {
			half(c, "POST /v1/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{")
		},
	}
}

// plagueMain runs until it is killed.
func plagueMain(text string) error {
	var p plague
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	act, known := behaviours()[p.Behaviour]
	if !known {
		return fmt.Errorf("no behaviour %q", p.Behaviour)
	}
	var opened, refused atomic.Int64
	var first sync.WaitGroup
	first.Add(p.Connections)
	for i := range p.Connections {
		from := netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i%p.Addresses)})
		go func() {
			for try := 0; ; try++ {
				p.open(from, act, &opened, &refused, func() {
					if try == 0 {
						first.Done()
					}
				})
			}
		}()
	}
	first.Wait()
	fmt.Printf("begun with %d connections (%d refused)\n", opened.Load(), refused.Load())
	select {}
}

// open makes one connection and lets it act. Whoever is turned away comes again after a second, not at once: the flood is in the number.
func (p plague) open(from netip.Addr, act func(net.Conn), opened, refused *atomic.Int64, begun func()) {
	dialer := net.Dialer{Timeout: 30 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := dialer.Dial("tcp", p.To)
	if err != nil {
		refused.Add(1)
		begun()
		<-time.After(time.Second)
		return
	}
	defer conn.Close()
	opened.Add(1)
	begun()
	began := time.Now()
	act(conn)
	if time.Since(began) < 100*time.Millisecond {
		<-time.After(2 * time.Second)
	}
}

// slowloris says one octet of a command every second, and never its end.
func slowloris(c net.Conn) {
	go io.Copy(io.Discard, c)
	for {
		for _, octet := range "EHLO client.test" {
			if _, err := c.Write([]byte{byte(octet)}); err != nil {
				return
			}
			<-time.After(time.Second)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
	}
}

// endless is one command line without an end.
func endless(c net.Conn) {
	go io.Copy(io.Discard, c)
	line := []byte(strings.Repeat("x", 16<<10))
	for {
		if _, err := c.Write(line); err != nil {
			return
		}
	}
}

// recipients is a transaction with 100,000 of them, pipelined, and never any content.
func recipients(c net.Conn) {
	go io.Copy(io.Discard, c)
	if _, err := io.WriteString(c, "EHLO client.test\r\nMAIL FROM:<hostile@client.test>\r\n"); err != nil {
		return
	}
	for n := range 100_000 {
		if _, err := fmt.Fprintf(c, "RCPT TO:<you%d@sink.test>\r\n", n); err != nil {
			return
		}
	}
}

// early pours a hundred transactions before the greeting, and hangs up.
func early(c net.Conn) {
	_, _ = io.WriteString(c, strings.Repeat("MAIL FROM:<hostile@client.test>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\nSubject: early\r\n\r\n.\r\n", 100))
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, c)
}

// stalled sends half a message and waits.
func stalled(c net.Conn) {
	_, err := io.WriteString(c, "EHLO client.test\r\nMAIL FROM:<hostile@client.test>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\n")
	if err == nil {
		_, err = io.WriteString(c, "Subject: stalled\r\n\r\n"+strings.Repeat("x", 8<<10))
	}
	if err == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}

// half says the begin of something and waits.
func half(c net.Conn, begin string) {
	if _, err := io.WriteString(c, begin); err == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}

// endPlague is the end of the hostile program.
func endPlague(err error) {
	fmt.Fprintln(os.Stderr, "hostile:", err)
	os.Exit(1)
}
