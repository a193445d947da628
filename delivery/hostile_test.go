package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
	"sternpost/resolver"
)

// Every stage ends at its absolute deadline: against a remote that stalls, and against one that sends an octet a second.
func TestDeadlines(t *testing.T) {
	limits := DefaultConfig().Timeouts
	slow := " drip 1s / "
	for _, c := range []struct {
		stage  mail.Stage
		script string // %s: what the stage does
		want   time.Duration
	}{
		{mail.StageGreeting, "banner %s", limits.Greeting},
		{mail.StageHello, "ehlo %s", limits.Hello},
		{mail.StageStartTLS, "tls\nstarttls %s", limits.StartTLS},
		{mail.StageMail, "mail %s", limits.Mail},
		{mail.StageRcpt, "rcpt %s", limits.Rcpt},
		{mail.StageData, "data %s", limits.Data},
		{mail.StageDot, "dot %s", limits.Dot},
	} {
		for name, how := range map[string]string{
			"stall": "stall", "one octet a second": slow + "250 {x*3000}", "one line a second": slow + "250-{x*40}" + strings.Repeat(" / 250-{x*40}", 90) + " / stall",
		} {
			t.Run(string(c.stage)+"/"+name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					w := newWorld(t, oneHost)
					w.serve("192.0.2.1", fmt.Sprintf(c.script, how))
					began := time.Now()
					at := w.deliver(plain, "you@example.test")
					took := time.Since(began)
					if c.stage == mail.StageGreeting || c.stage == mail.StageHello { // the connection is part of it
						took = took.Round(time.Second)
					}
					if at.Outcomes[0].Disposition != mail.Deferred || took != c.want {
						t.Errorf("%s after %s, want %s", summaries(at), took, c.want)
					}
				})
			})
		}
	}
}

// A remote that reads the content one octet at a time, or not at all, is left when the time for its size is over.
func TestContentDeadline(t *testing.T) {
	content := text("Subject: x\r\n\r\n" + strings.Repeat("a line of content\r\n", 20_000))
	for _, script := range []string{"data 354 go / stop-reading", "data 354 go / drip 60s / 2{5*9000}"} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			w.serve("192.0.2.1", script)
			began := time.Now()
			at := w.deliver(content, "you@example.test")
			c := w.agent.config
			want := c.Timeouts.Content + time.Duration(content.Size()/c.MinRate)*time.Second
			if took := time.Since(began); at.Outcomes[0].Disposition != mail.Deferred || took != want {
				t.Errorf("%s: %s after %s, want %s", script, summaries(at), took, want)
			}
		})
	}
}

// hostileScripts are the remotes that want our memory.
func hostileScripts() []string {
	return []string{
		"banner endless-line forever 220\\x20",
		"banner endless-lines forever 220-{x*60}",
		"ehlo endless-lines forever 250-{x*60}",
		"rcpt endless-line forever 550\\x20",
		"dot endless-lines forever 250-{x*4000}",
	}
}

const (
	hostileEnv   = "STERNPOST_TEST_HOSTILE" // the addresses of the servers, in the child process
	hostileCount = 500
	// hostileMemory is the limit of the child. The control below shows that it is one.
	hostileMemory = 256 << 20
)

// Five hundred hostile hosts at once cannot take our memory. The servers are in this process; the agent is in a child whose memory the kernel limits. A
// child that reads without limits is the control: it must not survive.
func TestHostileHostsAndMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector needs memory without limit; the test runs without it")
	}
	var servers []*smtptest.Server
	var addresses []string
	for _, script := range hostileScripts() {
		s := smtptest.New(t, script)
		servers, addresses = append(servers, s), append(addresses, s.Addr())
	}
	list, err := json.Marshal(addresses)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"TestHostileChild", "TestHostileControl"} {
		survives := name == "TestHostileChild"
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+name+"$", "-test.count=1")
		child.Env = append(os.Environ(), hostileEnv+"="+string(list))
		out, err := child.CombinedOutput()
		late := ctx.Err()
		cancel()
		if (err == nil) != survives || late != nil {
			t.Errorf("%s: %v, %v\n%s", name, err, late, tail(out))
		}
		connections := 0
		for _, s := range servers {
			connections += len(s.Connections())
		}
		if survives && connections < hostileCount {
			t.Errorf("only %d of %d connections were made", connections, hostileCount)
		}
		// Want of memory ends a process in many ways: out of memory, no thread, a fault in the collector. The test itself finds nothing wrong in any of them.
		if !survives && strings.Contains(string(out), "--- FAIL") {
			t.Errorf("the control did not end for want of memory:\n%s", tail(out))
		}
	}
}

func tail(out []byte) string { return string(out[max(0, len(out)-2000):]) }

// limitMemory makes the kernel refuse this process more memory than the limit.
func limitMemory(t *testing.T) {
	t.Helper()
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: hostileMemory, Max: hostileMemory}); err != nil {
		t.Fatal(err)
	}
}

func hostileAddresses(t *testing.T) []string {
	t.Helper()
	list := os.Getenv(hostileEnv)
	if list == "" {
		t.Skip("this is the child of TestHostileHostsAndMemory")
	}
	var addresses []string
	if err := json.Unmarshal([]byte(list), &addresses); err != nil {
		t.Fatal(err)
	}
	return addresses
}

func TestHostileChild(t *testing.T) {
	addresses := hostileAddresses(t)
	limitMemory(t)
	a := hostileAgent(t, addresses)
	defer a.Close()
	var wg sync.WaitGroup
	for i := range hostileCount {
		wg.Go(func() {
			tr := transactionTo(t, plain, fmt.Sprintf("you@h%d.test", i%len(addresses)))
			tr.Message = fmt.Sprint(i)
			if o := a.Deliver(t.Context(), tr).Outcomes[0]; o.Disposition != mail.Deferred {
				t.Errorf("%s: %s", o.Recipient, summary(o))
			}
		})
	}
	wg.Wait()
}

// hostileAgent sends h0.test to the first address, and so on.
func hostileAgent(t *testing.T, addresses []string) *Agent {
	t.Helper()
	rc := resolver.DefaultConfig()
	rc.Servers = []string{"127.0.0.1:1"} // nothing is looked up
	r, err := resolver.New(rc, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	c := DefaultConfig()
	c.MaxPerAddress = 500
	c.Hostname = "us.test"
	for i, address := range addresses {
		host, port, _ := strings.Cut(address, ":")
		s := Smarthost{Host: host, TLS: TLSNone}
		if _, err := fmt.Sscan(port, &s.Port); err != nil {
			t.Fatal(err)
		}
		c.Routes = append(c.Routes, Route{Domains: []string{fmt.Sprintf("h%d.test", i)}, Smarthosts: []Smarthost{s}})
	}
	a, err := New(c, Deps{Resolver: r})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestHostileControl reads a reply line the way that a careless client does.
func TestHostileControl(t *testing.T) {
	addresses := hostileAddresses(t)
	limitMemory(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			conn, err := dialTCP(t.Context(), netip.Addr{}, netip.MustParseAddrPort(addresses[0]))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if line, err := io.ReadAll(conn); err == nil {
				t.Errorf("an endless line ended after %d octets", len(line))
			}
		})
	}
	wg.Wait()
}
