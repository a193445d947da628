package delivery

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

// probeOf asks for you@example.test, and for a mailbox that nobody has where unknown says so.
func (w *world) probe(change ...func(*ProbeRequest)) Probe {
	w.t.Helper()
	r := ProbeRequest{Content: plain, Pause: time.Second, Budget: 10 * time.Minute}
	r.From, _ = mail.ParseReversePath("postmaster@us.test")
	r.Recipient, _ = mail.ParseAddress("ok@example.test")
	for _, f := range change {
		f(&r)
	}
	p, err := w.agent.Probe(context.Background(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	p.Conclude(time.Now())
	return p
}

func askUnknown(r *ProbeRequest) { r.Unknown, _ = mail.ParseAddress("bad@example.test") }

// answers is a probe in short: "mx1.test accepts, mx2.test refuses".
func answers(p Probe) string {
	var all []string
	for _, h := range p.Hosts {
		all = append(all, h.Host+" "+string(h.Answer))
	}
	return strings.Join(all, ", ")
}

func codes(p Probe) string {
	var all []string
	for _, f := range p.Findings {
		if f.Host != "" {
			all = append(all, f.Host+" "+f.Code)
		}
	}
	return strings.Join(all, ", ")
}

// said lists the verbs that a server heard, of all connections.
func said(s *smtptest.Server) []string {
	var verbs []string
	for _, c := range s.Connections() {
		for _, command := range c.Commands {
			verb, _, _ := strings.Cut(strings.ToUpper(command), " ")
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

func TestProbeAsksEverybodyAndSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts+"mx1.test. A 192.0.2.3\nmx2.test. AAAA 2001:db8::2\n")
		servers := []*smtptest.Server{w.serve("192.0.2.1", ""), w.serve("192.0.2.3", ""), w.serve("192.0.2.2", "")}
		servers = append(servers, w.net.Serve(t, "[2001:db8::2]:25", "tls"))
		p := w.probe()
		if got, want := answers(p), "mx1.test accepts, mx1.test accepts, mx2.test accepts, mx2.test accepts"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		for _, s := range servers {
			if got := strings.Join(said(s), " "); !strings.HasSuffix(got, "MAIL RCPT RSET QUIT") {
				t.Errorf("%s heard %q", s.Addr(), got)
			}
			if len(s.Messages()) > 0 {
				t.Errorf("%s has a message", s.Addr())
			}
		}
		for _, c := range p.Attempt.Candidates {
			if c.Verdict != mail.VerdictAccepted || c.ClosedBy != "us" {
				t.Errorf("%s is %s, closed by %q", c.Host, c.Verdict, c.ClosedBy)
			}
		}
		secured := p.Hosts[2]
		if secured.StartTLS != StartTLSRaised || len(secured.Certificates) != 1 || !slices.Equal(secured.Faults, []Fault{FaultWrongName, FaultUntrusted}) {
			t.Errorf("TLS: %+v", secured)
		}
		if !secured.offers("8BITMIME") || secured.offers("STARTTLS") {
			t.Errorf("extensions after TLS are %q", secured.Extensions)
		}
	})
}

// One session at a time, with a pause between them.
func TestProbeIsPolite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.1", "quit sleep 2s / 221 bye")
		w.serve("192.0.2.2", "")
		w.probe(func(r *ProbeRequest) { r.Pause = 3 * time.Second })
		dials := w.net.Dials()
		if len(dials) != 2 || dials[1].At.Sub(dials[0].At) != 5*time.Second {
			t.Errorf("dials: %+v", dials)
		}
	})
}

// Every behaviour as one of two hosts: the probe ends, sends nothing, and comes to a verdict that fits to what the hosts answered.
func TestProbeOfEveryBehaviour(t *testing.T) {
	for _, b := range smtptest.Behaviours() {
		for _, first := range []bool{true, false} {
			t.Run(b.Name+map[bool]string{true: "/first", false: "/second"}[first], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, twoHosts)
					odd, good := "192.0.2.1", "192.0.2.2"
					if !first {
						odd, good = good, odd
					}
					servers := []*smtptest.Server{w.serve(odd, b.Script), w.serve(good, "")}
					began := time.Now()
					p := w.probe(askUnknown)
					if took := time.Since(began); took > 3*time.Minute {
						t.Errorf("took %s", took)
					}
					for _, s := range servers {
						if heard := said(s); slices.Contains(heard, "DATA") || slices.Contains(heard, "BDAT") || len(s.Messages()) > 0 {
							t.Errorf("heard %q", heard)
						}
					}
					checkSane(t, p, first)
				})
			})
		}
	}
}

// checkSane compares a verdict with the answers; the other host is a good one.
func checkSane(t *testing.T, p Probe, first bool) {
	t.Helper()
	if len(p.Hosts) != 2 || p.Text == "" {
		t.Fatalf("%d hosts, %q", len(p.Hosts), p.Text)
	}
	odd, good := p.Hosts[0], p.Hosts[1]
	if !first {
		odd, good = good, odd
	}
	if good.Answer != AnswerAccepts {
		t.Errorf("the good host %s: %s", good.Answer, good.Reason)
	}
	broken := slices.ContainsFunc(p.Findings, func(f ProbeFinding) bool { return f.Level == "error" && f.Host != "" })
	want := VerdictWell
	switch {
	case odd.Answer == AnswerRefuses && first:
		want = VerdictLost
	case broken:
		want = VerdictBroken
	}
	if p.Verdict != want {
		t.Errorf("verdict %s, want %s: %s", p.Verdict, want, answers(p))
	}
	if odd.Answer == AnswerDown && !broken {
		t.Errorf("down, and no finding says so: %s", codes(p))
	}
	if odd.Answer == AnswerSkipped || odd.Answer == AnswerUntested {
		t.Errorf("%s: %s", odd.Answer, odd.Reason)
	}
}

// What some behaviours must come to, so that the test above cannot be right about nothing.
func TestProbeAnswers(t *testing.T) {
	for name, want := range map[string]string{
		"ok": "accepts", "banner421": "down", "banner554": "down", "immediate_close": "down", "banner_stall": "down", "mail550": "refuses", "mail451": "defers",
		"rcpt550": "refuses", "rcpt450": "defers", "data554": "accepts", "dot_stall": "accepts", "rcpt999": "down", "ehlo502_helo_ok": "accepts",
	} {
		i := slices.IndexFunc(smtptest.Behaviours(), func(b smtptest.Behaviour) bool { return b.Name == name })
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			w.serve("192.0.2.1", smtptest.Behaviours()[i].Script)
			if got := answers(w.probe()); got != "mx1.test "+want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		})
	}
}

func TestProbeWithoutHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.2", "")
		for range 3 {
			w.deliver(plain, "ok@example.test")
		}
		w.serve("192.0.2.1", "")
		if got := answers(w.probe()); got != "mx1.test accepts, mx2.test accepts" {
			t.Error(got)
		}
	})
}

func TestProbePretends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, want := range map[string]Verdict{
			"mx1.test=down": VerdictBroken, "mx1.test=550": VerdictLost, "ipv4=down": VerdictDelayed, "mx2.test=554@data": VerdictBroken, "mx1.test=timeout": VerdictBroken,
		} {
			mask, err := ParseMask(text)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, twoHosts, func(_ *Config, d *Deps) { d.Masks = []Mask{mask} })
			w.serve("192.0.2.1", "")
			w.serve("192.0.2.2", "")
			p := w.probe()
			if p.Verdict != want || !slices.Equal(p.Pretended, []string{text}) {
				t.Errorf("%s: %s, %s", text, p.Verdict, answers(p))
			}
		}
	})
}

// A host with a typing mistake would make all well look like the answer.
func TestProbePretendsOfNoHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, refused := range map[string]bool{"mx3.test=down": true, "192.0.2.9=down": true, "192.0.2.1=down": false, "MX1.test.=down": false, "ipv6=down": false} {
			mask, err := ParseMask(text)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, twoHosts, func(_ *Config, d *Deps) { d.Masks = []Mask{mask} })
			primary := w.serve("192.0.2.1", "")
			w.serve("192.0.2.2", "")
			_, err = w.agent.Probe(t.Context(), ProbeRequest{Recipient: mail.Address{Local: "a", Domain: "example.test"}, Content: plain, Budget: time.Hour})
			if (err != nil) != refused || refused && (!strings.Contains(err.Error(), "2 mx2.test") || len(primary.Connections()) > 0) {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}

func TestProbeThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		first := w.serve("192.0.2.1", "")
		w.serve("192.0.2.2", "rcpt 554 5.7.1 relay denied")
		for _, through := range []string{"2", "mx2.test", "MX2.test."} {
			p := w.probe(func(r *ProbeRequest) { r.Through = through })
			if got := answers(p); got != "mx1.test skipped, mx2.test refuses" || p.Verdict != VerdictLost || codes(p) != "mx2.test refuses-relay, mx2.test no-starttls-anywhere" {
				t.Errorf("through %s: %s, %s, %s", through, got, p.Verdict, codes(p))
			}
		}
		if len(first.Connections()) > 0 {
			t.Error("the other host was asked")
		}
		_, err := w.agent.Probe(t.Context(), ProbeRequest{Recipient: mail.Address{Local: "a", Domain: "example.test"}, Content: plain, Through: "3"})
		if err == nil || !strings.Contains(err.Error(), "2 mx2.test") {
			t.Errorf("through 3: %v", err)
		}
		at := w.agent.DeliverThrough(t.Context(), transactionTo(t, plain, "ok@example.test"), "mx2.test")
		if got := story(at) + ": " + summaries(at); got != "mx1.test skipped, mx2.test failed: bounced/5.7.1@mx2.test" {
			t.Error(got)
		}
	})
}

// The time for all together ends the probe, and says what was left out.
func TestProbeHasABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.net.Blackhole("192.0.2.1")
		w.serve("192.0.2.2", "")
		p := w.probe(func(r *ProbeRequest) { r.Budget = 10 * time.Second })
		if got := answers(p); got != "mx1.test down, mx2.test skipped" || !strings.Contains(codes(p), "mx2.test not-asked") {
			t.Errorf("%s: %s", got, codes(p))
		}
	})
}

func TestProbeIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.1", "banner stall")
		w.serve("192.0.2.2", "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := ProbeRequest{Content: plain, Budget: time.Hour, Recipient: mail.Address{Local: "a", Domain: "example.test"}}
		p, err := w.agent.Probe(ctx, r)
		if got := answers(p); err != nil || got != "mx1.test untested, mx2.test skipped" {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// The list is not cut at us: who looks after an exchanger probes from there too. What no exchanger can have is left alone.
func TestProbeOfOurselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts+"example.test. MX 30 lo.test.\nlo.test. A 127.0.0.1\n", func(c *Config, _ *Deps) { c.OwnHosts = []string{"mx1.test"} })
		w.serve("192.0.2.1", "")
		w.serve("192.0.2.2", "")
		lo := w.serve("127.0.0.1", "")
		p := w.probe()
		if got := answers(p); got != "mx1.test accepts, mx2.test accepts, lo.test skipped" || p.Verdict != VerdictBroken {
			t.Errorf("%s: %s", got, p.Verdict)
		}
		if len(lo.Connections()) > 0 {
			t.Error("the loopback address was asked")
		}
	})
}

func TestProbeOfNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for zone, want := range map[string]Verdict{
			"other.test. A 192.0.2.1\n": VerdictLost, "example.test. MX 0 .\n": VerdictLost, "fail example.test. MX SERVFAIL\n": VerdictDelayed,
		} {
			w := newWorld(t, strings.TrimPrefix(zone, "fail example.test. MX SERVFAIL\n"))
			if strings.HasPrefix(zone, "fail") {
				w.dns.Fault("example.test.", "MX", dnstest.Fault{RCode: "SERVFAIL"})
			}
			if p := w.probe(); p.Verdict != want || len(p.Hosts) != 0 {
				t.Errorf("%q: %s (%s)", zone, p.Verdict, p.Text)
			}
		}
	})
}

// What a hostile server says stands in the findings with its control characters escaped.
func TestProbeEscapesFindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.1", `offer 8BITMIME / \x1b[31mX`+"\n"+`rcpt 550 5.7.1 \x1b[2J\rrelay`)
		w.serve("192.0.2.2", `banner 554 \x1b]0;x\x07 / close`)
		p := w.probe(askUnknown)
		text := p.Text
		for _, f := range p.Findings {
			text += f.Text + f.Advice
		}
		for _, c := range Changes(Probe{}, p) {
			text += c.Before + c.After
		}
		if strings.ContainsAny(text, "\x1b\r\x07") {
			t.Errorf("%q", text)
		}
	})
}

func TestFaultsOfCertificates(t *testing.T) {
	authority, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		kind smtptest.Certificate
		now  time.Time
		want []Fault
	}{
		{smtptest.Valid, now, []Fault{}},
		{smtptest.Expired, now, []Fault{FaultExpired}},
		{smtptest.WrongName, now, []Fault{FaultWrongName}},
		{smtptest.SelfSigned, now, []Fault{FaultUntrusted}},
		{smtptest.Valid, now.AddDate(-50, 0, 0), []Fault{FaultNotYet}},
	} {
		issued, err := authority.Issue(c.kind, "mx1.test")
		if err != nil {
			t.Fatal(err)
		}
		if got := findFaults([]*x509.Certificate{issued.Leaf}, "mx1.test", authority.Roots(), c.now); !slices.Equal(got, c.want) {
			t.Errorf("%s at %s: %q, want %q", c.kind, c.now, got, c.want)
		}
	}
}

func TestProbeNumbersHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts+"example.test. MX 10 also.test.\nalso.test. A 192.0.2.7\nalso.test. A 192.0.2.8\n")
		p := w.probe()
		var got []string
		for _, h := range p.Hosts {
			got = append(got, h.Host+string(rune('0'+h.Number)))
		}
		if want := []string{"also.test1", "also.test1", "mx1.test2", "mx2.test3"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if p.Verdict != VerdictDelayed || p.Hosts[0].Address == (netip.Addr{}) {
			t.Errorf("%s", p.Verdict)
		}
	})
}

// A route of the configuration is what a delivery takes, and so does a probe; on request it is passed over.
func TestProbeTakesTheRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneHost+"relay.test. A 192.0.2.9\n", func(c *Config, _ *Deps) {
			c.Routes = []Route{{Domains: []string{"*"}, Smarthosts: []Smarthost{{Host: "relay.test", Port: 25}}}}
		})
		w.serve("192.0.2.9", "")
		w.serve("192.0.2.1", "rcpt 550 5.1.1 no")
		if p := w.probe(); answers(p) != "relay.test accepts" || p.Rule != mail.RuleSmarthost {
			t.Errorf("%s by %s", answers(p), p.Rule)
		}
		if p := w.probe(func(r *ProbeRequest) { r.OnlyMX = true }); answers(p) != "mx1.test refuses" || p.Rule != mail.RuleMX {
			t.Errorf("%s by %s", answers(p), p.Rule)
		}
	})
}

// A probe has less patience than a delivery up to RCPT, and as much for what follows.
func TestProbeConfig(t *testing.T) {
	c := DefaultConfig()
	c.Timeouts.Rcpt = time.Second
	p := ProbeConfig(c)
	if p.Timeouts.Greeting != probeStage || p.Timeouts.Rcpt != time.Second || p.Timeouts.Connect != c.Timeouts.Connect || p.Timeouts.Dot != c.Timeouts.Dot {
		t.Errorf("%+v", p.Timeouts)
	}
}

// A stranger's list has no end; a probe has.
func TestProbeOfAnEndlessList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := "us.test. A 192.0.2.100\n"
		for i := range 150 {
			zone += fmt.Sprintf("example.test. MX %d h%d.test.\nh%d.test. A 198.51.100.%d\n", i, i, i, i+1)
		}
		w := newWorld(t, zone)
		p := w.probe(func(r *ProbeRequest) { r.Pause = 0 })
		asked, dials := 0, len(w.net.Dials())
		for _, h := range p.Hosts {
			if h.Answer == AnswerDown {
				asked++
			}
		}
		if one := w.probe(func(r *ProbeRequest) { r.Through = "120" }); one.Through != "h119.test" || one.Hosts[119].Answer != AnswerDown {
			t.Errorf("through 120: %s, %s", one.Through, one.Hosts[119].Answer)
		}
		if at := w.agent.DeliverThrough(t.Context(), transactionTo(t, plain, "ok@example.test"), "h119.test"); at.Candidates[119].Verdict != mail.VerdictDeferred {
			t.Errorf("delivery: %s", at.Candidates[119].Reason)
		}
		if asked != maxProbed || dials != maxProbed || strings.Count(codes(p), "list-too-long") != 1 {
			t.Errorf("%d asked, %d dials: %s", asked, dials, codes(p))
		}
	})
}

// No way to a network is trouble on our side, and says nothing about the host.
func TestProbeWithoutAWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twoHosts+"mx1.test. AAAA 2001:db8::1\n")
		w.net.Unreachable("2001:db8::1")
		w.serve("192.0.2.1", "")
		w.serve("192.0.2.2", "")
		p := w.probe()
		if got := answers(p); got != "mx1.test untested, mx1.test accepts, mx2.test accepts" || p.Verdict != VerdictWell || !strings.Contains(codes(p), "mx1.test address-not-tested") {
			t.Errorf("%s: %s, %s", got, p.Verdict, codes(p))
		}
	})
}

// A handshake that fails is seen each time: what a delivery remembers of the address does not count.
func TestProbeRaisesTLSEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "tls\nstarttls 220 go / garbage 100 / close")
		for range 2 {
			p := w.probe()
			told := slices.ContainsFunc(p.Findings, func(f ProbeFinding) bool {
				return f.Code == "starttls-broken" && strings.Contains(f.Text, "it fails: ")
			})
			if h := p.Hosts[0]; h.StartTLS != StartTLSBroken || h.Answer != AnswerAccepts || !told {
				t.Errorf("%s, %s, %+v", h.StartTLS, h.Answer, p.Findings)
			}
		}
	})
}

// A probe says what a delivery then comes to: each behaviour up to RCPT as the primary, each as the backup.
func TestProbeForetellsTheDelivery(t *testing.T) {
	var early []smtptest.Behaviour
	for _, b := range smtptest.Behaviours() {
		late := strings.Contains(b.Name, "data") || strings.HasPrefix(b.Name, "dot")
		if !late {
			early = append(early, b)
		}
	}
	if len(early) < 25 {
		t.Fatalf("%d behaviours", len(early))
	}
	want := map[mail.Disposition][]Verdict{mail.Delivered: {VerdictWell, VerdictBroken}, mail.Failed: {VerdictLost}, mail.Deferred: {VerdictDelayed}}
	for _, first := range early {
		t.Run(first.Name, func(t *testing.T) {
			for _, second := range early {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, twoHosts, func(c *Config, _ *Deps) { *c = ProbeConfig(*c); c.Hostname = "us.test" })
					w.serve("192.0.2.1", first.Script)
					w.serve("192.0.2.2", second.Script)
					p := w.probe(func(r *ProbeRequest) { r.Budget = time.Hour })
					pause(t.Context(), 2*clearMemory) // what was learnt by asking is forgotten
					o := w.deliver(plain, "ok@example.test").Outcomes[0]
					if !slices.Contains(want[o.Disposition], p.Verdict) {
						t.Errorf("before %s: the probe says %s (%s), and it is %s", second.Name, p.Verdict, p.Text, o.Reason)
					}
				})
			}
		})
	}
}
