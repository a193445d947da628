package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

func TestPrimaryDownOnLoopback(t *testing.T) {
	s, err := Load("primary-down")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(s, Loopback(0, "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	primary, _ := w.Addr("mx1.example.test")
	if err := smtp.SendMail(primary, nil, "app@client.test", []string{"you@example.test"}, s.Messages[0].Content()); err == nil {
		t.Error("the primary takes mail")
	}
	if got := w.Check()[0]; got.Met {
		t.Errorf("met before anything was sent: %+v", got)
	}
	c := dialHost(t, w, "mx2.example.test")
	send(t, c, "app@client.test", "you@example.test", s.Messages[0].Content())
	if got := w.Check()[0]; !got.Met || len(got.Unseen) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestPrimaryDownInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Load("primary-down")
		if err != nil {
			t.Fatal(err)
		}
		w, err := Open(s, Memory(&smtptest.Network{}, 25))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		send(t, dialHost(t, w, "mx2.example.test"), "app@client.test", "you@example.test", s.Messages[0].Content())
		if got := w.Check()[0]; !got.Met {
			t.Errorf("%+v", got)
		}
	})
}

// dialHost connects to a host and says EHLO.
func dialHost(t *testing.T, w *World, name string) *smtp.Client {
	t.Helper()
	addr, err := w.Addr(name)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := w.Dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := smtp.NewClient(conn, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *smtp.Client, from, to string, content []byte) {
	t.Helper()
	if err := trySend(c, from, to, content); err != nil {
		t.Fatal(err)
	}
}

func trySend(c *smtp.Client, from, to string, content []byte) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	body, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(content); err != nil {
		return err
	}
	return body.Close()
}

func TestChanceGoesBySeedNotByOrder(t *testing.T) {
	ask := func(seed string, order []int) map[int]int {
		answers := map[int]int{}
		synctest.Test(t, func(t *testing.T) {
			text := strings.Replace(oneHost("550 for 50 percent", "450 for 50 percent"), "seed = 7", "seed = "+seed, 1)
			c := dialHost(t, NewAt(t, text, Memory(&smtptest.Network{}, 25)).World, "mx.test")
			defer c.Close()
			if err := c.Mail("a@c.test"); err != nil {
				t.Fatal(err)
			}
			for _, n := range order {
				err := c.Rcpt(fmt.Sprintf("u%d@mx.test", n))
				answers[n] = answers[n]*1000 + codeOfError(err)
			}
		})
		return answers
	}
	forth, back := []int{}, []int{}
	for n := range 200 {
		forth, back = append(forth, n, n, n), append([]int{199 - n, 199 - n, 199 - n}, back...)
	}
	slices.Reverse(back)
	first := ask("7", forth)
	if again := ask("7", back); !maps.Equal(first, again) {
		t.Error("another order gives other answers")
	}
	if other := ask("8", forth); maps.Equal(first, other) {
		t.Error("another seed gives the same answers")
	}
	kinds := map[int]int{}
	for _, codes := range first {
		kinds[codes]++
	}
	if bad := kinds[550550550]; bad < 70 || bad > 130 {
		t.Errorf("%d of 200 are refused for good, want about half", bad)
	}
	if len(kinds) != 9 { // 550 always, or each of three times 450 or 250
		t.Errorf("the answers are %v", kinds)
	}
}

func codeOfError(err error) int {
	if refused := new(textproto.Error); errors.As(err, &refused) {
		return refused.Code
	}
	return 250
}

func TestDoorOnLoopback(t *testing.T) {
	w := New(t, oneHost("up"))
	addr, err := w.Addr("mx.test")
	if err != nil {
		t.Fatal(err)
	}
	dial := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		conn, err := w.Dial(ctx, "tcp", addr)
		if err == nil {
			defer conn.Close()
			_, err = bufio.NewReader(conn).ReadString('\n')
		}
		return err
	}
	for range 2 { // it comes back each time
		for _, c := range []struct {
			reach Reach
			want  error
		}{{ReachUp, nil}, {ReachTimeout, context.DeadlineExceeded}, {ReachRefused, syscall.ECONNREFUSED}, {ReachTimeout, context.DeadlineExceeded}, {ReachUp, nil}} {
			if err := w.hosts[0].door.set(c.reach); err != nil {
				t.Fatal(err)
			}
			patience := time.Minute
			if c.reach == ReachTimeout {
				patience = 100 * time.Millisecond
			}
			err := dial(patience)
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				err = context.DeadlineExceeded
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.reach, err, c.want)
			}
		}
	}
}

func TestPortsThatAreTaken(t *testing.T) {
	w := New(t, "no-mx")
	s := w.Scenario()
	if other, err := Open(s, Loopback(w.Port(), "127.0.0.1:0")); err == nil || !strings.Contains(err.Error(), "does another lab run?") {
		t.Errorf("the same port: %v, %v", other, err)
	}
	if other, err := Open(s, Loopback(0, w.DNS().Addr())); err == nil || !strings.Contains(err.Error(), "the DNS server cannot listen") {
		t.Errorf("the same DNS port: %v, %v", other, err)
	}
	for _, place := range []Place{Loopback(-1, "127.0.0.1:0"), Loopback(70000, "127.0.0.1:0"), Memory(&smtptest.Network{}, 0)} {
		if _, err := Open(s, place); err == nil || !strings.Contains(err.Error(), "is no port") {
			t.Errorf("%+v: %v", place, err)
		}
	}
}

func TestFaultsOfDNSComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		w := NewAt(t, "dns-trouble", Memory(&smtptest.Network{}, 25), Watch(func(e Event) {
			if e.Kind == EventFault || e.Kind == EventQuestion {
				told = append(told, fmt.Sprint(e.Line, ": ", e.RCode, e.Records))
			}
		}))
		if code, n := ask(t, w.World, "servfail.test."); code != dnsmessage.RCodeServerFailure || n != 0 {
			t.Errorf("at once: %v, %d answers", code, n)
		}
		time.Sleep(11 * time.Minute)
		if code, n := ask(t, w.World, "servfail.test."); code != dnsmessage.RCodeSuccess || n != 1 {
			t.Errorf("after ten minutes: %v, %d answers", code, n)
		}
		for _, want := range []string{"servfail.test MX: SERVFAIL until 10m: 0", "servfail.test MX: SERVFAIL0", "servfail.test MX answers again: 0", "servfail.test MX: NOERROR1"} {
			if !slices.Contains(told, want) {
				t.Errorf("%q was not told: %q", want, told)
			}
		}
	})
}

// ask asks for MX records. A net.Resolver cannot do that in a bubble: it keeps something outside.
func ask(t *testing.T, w *World, name string) (dnsmessage.RCode, int) {
	t.Helper()
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: 1, RecursionDesired: true}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeMX, Class: dnsmessage.ClassINET},
	}}
	packet, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := w.DNS().Dial(t.Context(), "udp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply := make([]byte, 512)
	_, err = conn.Write(packet)
	if err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(reply)
	if err != nil {
		t.Fatal(err)
	}
	var answer dnsmessage.Message
	if err := answer.Unpack(reply[:n]); err != nil {
		t.Fatal(err)
	}
	return answer.RCode, len(answer.Answers)
}

func TestEventsTellTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		number := 0
		w := NewAt(t, oneHost("550 for bad@.*"), Memory(&smtptest.Network{}, 25), Watch(func(e Event) {
			if number++; e.Number != number || e.Host != "mx.test" || e.Address != "127.0.1.1" || e.Connection != 1 || e.At.IsZero() {
				t.Errorf("event %+v", e)
			}
			text := fmt.Sprintf("%s %s %s %s %s", e.Kind, e.Line, e.Sender, e.Recipient, e.Reply.Last())
			if e.Message != nil {
				text = fmt.Sprintf("message %d %s %v %s %v", e.Message.Number, e.Message.Sender, e.Message.Recipients, e.Message.Subject, e.Message.Accepted)
			}
			told = append(told, strings.Join(strings.Fields(text), " "))
		}))
		c := dialHost(t, w.World, "mx.test")
		if err := c.StartTLS(&tls.Config{RootCAs: w.Authority().Roots(), ServerName: "mx.test", Time: time.Now}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Mail("a@c.test"), c.Rcpt("b@mx.test")); err != nil {
			t.Fatal(err)
		}
		if err := c.Rcpt("bad@mx.test"); err == nil {
			t.Error("bad is taken")
		}
		body, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(body, "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\n\nhi\n")
		if err := body.Close(); err != nil {
			t.Fatal(err)
		}
		c.Quit() // the server closes first, which TLS complains of
		synctest.Wait()
		want := []string{
			"connected", "tls TLS 1.3", "command MAIL FROM:<a@c.test> BODY=8BITMIME SMTPUTF8", "recipient a@c.test b@mx.test 250 2.1.5 OK",
			"recipient a@c.test bad@mx.test 550 5.1.1 no such user here", "message 1 a@c.test [b@mx.test] grüße true", "reply 221 2.0.0 bye", "ended quit",
		}
		for _, line := range want {
			if !slices.Contains(told, line) {
				t.Errorf("%q was not told: %q", line, told)
			}
		}
		got := w.Messages()
		if len(got) != 1 || !got[0].TLS || got[0].Disposition() != mail.Delivered || !strings.Contains(string(got[0].Content), "hi\r\n") {
			t.Errorf("messages %+v", got)
		}
	})
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	k := &kept{}
	for n := range mostMessages + 10 {
		k.add(&Received{Content: []byte{byte(n)}})
	}
	if len(k.messages) != mostMessages || k.messages[0].Number != 11 || k.octets != mostMessages {
		t.Errorf("%d messages from %d, %d octets", len(k.messages), k.messages[0].Number, k.octets)
	}
	k.add(&Received{Content: make([]byte, mostOctets)})
	if len(k.messages) != 1 || k.octets != mostOctets {
		t.Errorf("%d messages, %d octets beside one that fills it all", len(k.messages), k.octets)
	}
}

func TestWaitMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewAt(t, oneHost(), Memory(&smtptest.Network{}, 25))
		go func() {
			time.Sleep(time.Minute)
			send(t, dialHost(t, w.World, "mx.test"), "a@c.test", "b@mx.test", []byte("hi\r\n"))
		}()
		if got, err := w.WaitMessages(t.Context(), 1); err != nil || len(got) != 1 || got[0].Since != time.Minute {
			t.Errorf("%+v, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.WaitMessages(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second message: %v", err)
		}
	})
}

func TestCertificatesAsTheScenarioHasThem(t *testing.T) {
	for phrase, want := range map[string]string{
		"up": "", "starttls expired": "has expired", "starttls wrong name": "wrong.invalid, not mx.test", "starttls self-signed": "unknown authority",
		"starttls absent": "not supported", "starttls refused": "454",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := NewAt(t, oneHost(phrase), Memory(&smtptest.Network{}, 25))
			c := dialHost(t, w.World, "mx.test")
			err := c.Hello("c.test")
			if offered, _ := c.Extension("STARTTLS"); err == nil && !offered {
				err = errors.New("not supported")
			} else if err == nil {
				err = c.StartTLS(&tls.Config{RootCAs: w.Authority().Roots(), ServerName: "mx.test"})
			}
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", phrase, err, want)
			}
		})
	}
}

func TestOffersAsTheScenarioHasThem(t *testing.T) {
	for phrases, want := range map[string]string{
		"up":                              "8BITMIME true, SIZE true 52428800",
		"size 1000":                       "8BITMIME true, SIZE true 1000",
		"without SIZE / without 8BITMIME": "8BITMIME false, SIZE false ",
	} {
		synctest.Test(t, func(t *testing.T) {
			c := dialHost(t, NewAt(t, oneHost(strings.Split(phrases, " / ")...), Memory(&smtptest.Network{}, 25)).World, "mx.test")
			if err := c.Hello("c.test"); err != nil {
				t.Fatal(err)
			}
			eight, _ := c.Extension("8BITMIME")
			size, most := c.Extension("SIZE")
			if got := fmt.Sprintf("8BITMIME %v, SIZE %v %s", eight, size, most); got != want {
				t.Errorf("%s: %s, want %s", phrases, got, want)
			}
		})
	}
}

func TestReportCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewAt(t, oneHost("550 for bad@.*", "drop after the dot from 1h", "452 at dot from 1m to 1h")+
			"[[message]]\nfrom = 'a@c.test'\nto = ['b@mx.test']\nexpect = ['b@mx.test delivered copies 3']\n", Memory(&smtptest.Network{}, 25))
		for _, wait := range []time.Duration{0, time.Minute, time.Hour} {
			time.Sleep(wait)
			c := dialHost(t, w.World, "mx.test")
			err := trySend(c, "a@c.test", "b@mx.test", []byte("Subject: x\r\n\r\n"))
			if (err == nil) != (wait == 0) {
				t.Errorf("after %v: %v", wait, err)
			}
			c.Close()
		}
		c := dialHost(t, w.World, "mx.test")
		if trySend(c, "a@c.test", "bad@mx.test", nil) == nil {
			t.Error("bad is taken")
		}
		c.Close()
		synctest.Wait()
		r := w.Report()
		want := HostReport{Name: "mx.test", Address: "127.0.1.1:25", Connections: 4, Delivered: 1, Unanswered: 1, Refused: 2}
		want.Behaviour = r.Hosts[0].Behaviour
		if !reflect.DeepEqual(r.Hosts[0], want) || r.Messages != 3 || !r.Met() || r.Lasted != 3660_000 {
			t.Errorf("%+v", r)
		}
	})
}

// A host that sends clients away, or messages before there is a recipient, does not look as if it had refused nothing.
func TestReportCountsWhatIsRefusedWhole(t *testing.T) {
	for behaviour, want := range map[string]int{
		"up": 0, "banner 554": 1, "421 at hello": 1, "550 at hello": 1, "451 at mail": 1, "550 for all": 1, "552 at dot": 1, "starttls refused": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := NewAt(t, oneHost(behaviour), Memory(&smtptest.Network{}, 25))
			_ = sendOnce(t.Context(), w.World, "b@mx.test")
			synctest.Wait()
			if r := w.Report().Hosts[0]; r.Refused != want {
				t.Errorf("%s: refused %d, want %d", behaviour, r.Refused, want)
			}
		})
	}
}

// Many clients at once, while the host goes down and comes back under them: nothing that was answered with 250 is missing, and the events have their order. A
// second copy there may be: where the host goes down between its decision and its reply, the client does not hear of it (RFC 1047).
func TestManyClientsWhileTheHostFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := 0
		w := NewAt(t, oneHost("down from 2s to 3s", "timeout from 4s to 5s", "drop after the dot from 6s to 7s", "450 for 10 percent"),
			Memory(&smtptest.Network{}, 25), Watch(func(e Event) {
				if last++; e.Number != last {
					t.Errorf("event %d comes after %d", e.Number, last-1)
				}
			}))
		const clients, each = 20, 15
		var answered atomic.Int64
		var all sync.WaitGroup
		for n := range clients {
			all.Go(func() {
				for m := range each {
					to := fmt.Sprintf("u%d-%d@mx.test", n, m)
					for time.Since(w.Began()) < time.Hour {
						if err := sendOnce(t.Context(), w.World, to); err == nil {
							answered.Add(1)
							break
						}
						time.Sleep(70 * time.Millisecond)
					}
					time.Sleep(500 * time.Millisecond)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		accepted := map[string]int{}
		for _, m := range w.Messages() {
			if m.Accepted {
				accepted[m.Recipients[0]]++
			}
		}
		if r := w.Report().Hosts[0]; r.Unanswered == 0 || r.Refused == 0 {
			t.Errorf("the host gave no trouble: %+v", r)
		}
		if got := answered.Load(); got != clients*each || len(accepted) != clients*each {
			t.Errorf("%d were answered, %d recipients were accepted; want %d each", got, len(accepted), clients*each)
		}
	})
}

func sendOnce(ctx context.Context, w *World, to string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	addr, err := w.Addr("mx.test")
	if err != nil {
		return err
	}
	conn, err := w.Dial(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	c, err := smtp.NewClient(conn, "mx.test")
	if err != nil {
		return err
	}
	return trySend(c, "a@c.test", to, []byte("Subject: x\r\n\r\n"))
}

// unlucky is a place where another program takes the port that was found free, so many times.
type unlucky struct {
	Place
	times int
}

func (u *unlucky) open(at netip.AddrPort) (net.Listener, error) {
	if u.times--; u.times >= 0 {
		return nil, &net.OpError{Op: "listen", Err: syscall.EADDRINUSE}
	}
	return u.Place.open(at)
}

func TestFreePortThatIsTakenMeanwhile(t *testing.T) {
	s, err := Load("no-mx")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(s, &unlucky{Loopback(0, "127.0.0.1:0"), 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(s, &unlucky{Loopback(0, "127.0.0.1:0"), 1000}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("always taken: %v", err)
	}
	if _, err := Open(s, &unlucky{Loopback(2525, "127.0.0.1:0"), 1}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that was asked for: %v", err)
	}
}

func TestHostWithAnIPv6Address(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewAt(t, "title = 'six'\nzone = 'mx.test. AAAA ::1'\n[[host]]\naddress = '::1'\nbehaviour = ['greylist for 1m']", Memory(&smtptest.Network{}, 25))
		if err := trySend(dialHost(t, w.World, "mx.test"), "a@c.test", "b@mx.test", nil); codeOfError(err) != 450 {
			t.Errorf("at first: %v", err)
		}
		time.Sleep(time.Minute)
		send(t, dialHost(t, w.World, "mx.test"), "a@c.test", "b@mx.test", []byte("hi\r\n"))
		if got := w.Messages(); len(got) != 1 || got[0].Address != "::1" {
			t.Errorf("messages %+v", got)
		}
	})
}
