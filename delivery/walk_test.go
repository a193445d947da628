package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// inBubble runs f in a synctest bubble: time passes only when all goroutines wait.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestBackupTakesWhatThePrimaryCannot(t *testing.T) {
	for _, c := range []struct{ name, mx1, want string }{
		{"connection refused", "", "sent@mx2.test"},
		{"greeting 554", "banner 554 no / close", "sent@mx2.test"},
		{"greylisting", "rcpt 450 4.2.0 greylisted", "sent@mx2.test"},
		{"in doubt", "dot close", "sent@mx2.test"},
		{"user unknown", "rcpt 550 5.1.1 no such user", "bounced/5.1.1@mx1.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, twoHosts)
				if c.mx1 != "" {
					w.serve("192.0.2.1", c.mx1)
				}
				w.serve("192.0.2.2", "")
				if got := summaries(w.deliver(plain, "you@example.test")); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

// A recipient that one host deferred goes to the next; the one that it took does not.
func TestOnlyWhatIsOwedGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		first := w.serve("192.0.2.1", "rcpt <busy@.*> 450 4.2.0 later\nrcpt <no@.*> 550 5.1.1 no such user")
		second := w.serve("192.0.2.2", "")
		at := w.deliver(plain, "you@example.test", "busy@example.test", "no@example.test")
		if got, want := summaries(at), "sent@mx1.test sent@mx2.test bounced/5.1.1@mx1.test"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := first.Messages()[0].To(); len(got) != 1 || got[0] != "you@example.test" {
			t.Errorf("the primary has %v", got)
		}
		if got := second.Messages()[0].To(); len(got) != 1 || got[0] != "busy@example.test" {
			t.Errorf("the backup has %v", got)
		}
	})
}

// The dot is the point of no return: the same host's other address must not get the content again.
func TestInDoubtNeverGoesToTheSameHostAgain(t *testing.T) {
	zone := oneHost + "mx1.test. A 192.0.2.11\n"
	for _, script := range []string{"dot close", "dot stall", "dot reset", "dot say hello world / 250 2.0.0 ok"} {
		for _, offer := range []string{"", "offer PIPELINING / 8BITMIME / CHUNKING\n"} {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, zone)
				a, b := w.serve("192.0.2.1", offer+script), w.serve("192.0.2.11", offer+script)
				at := w.deliver(plain, "you@example.test")
				if got := summaries(at); got != "deferred/4.4.2?" {
					t.Errorf("%s: %s", script, got)
				}
				if n := len(a.Messages()) + len(b.Messages()); n != 1 {
					t.Errorf("%s: the content was sent %d times", script, n)
				}
			})
		}
	}
}

// In doubt stays with the recipient when the next host refuses.
func TestInDoubtStays(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.1", "dot close")
		w.serve("192.0.2.2", "rcpt 550 5.1.1 no such user")
		o := w.deliver(plain, "you@example.test").Outcomes[0]
		if o.Disposition != mail.Failed || !o.InDoubt {
			t.Errorf("%s, in doubt %v", summary(o), o.InDoubt)
		}
	})
}

// Three sessions and two transmissions at most, the last of each for the least preferred host.
func TestLimitsOfAnAttempt(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("us.test. A 192.0.2.100\n")
	for i := 1; i <= 5; i++ {
		fmt.Fprintf(&zone, "example.test. MX %d mx%d.test.\nmx%d.test. A 192.0.2.%d\n", i*10, i, i, i)
	}
	for _, c := range []struct{ name, script, want string }{
		{"sessions", "mail 451 4.7.1 later", "mx1.test deferred, mx2.test deferred, mx3.test skipped, mx4.test skipped, mx5.test delivered"},
		{"contents", "dot 451 4.3.0 later", "mx1.test deferred, mx2.test skipped, mx3.test skipped, mx4.test skipped, mx5.test delivered"},
		{"connections", "banner 421 busy / close", "mx1.test deferred, mx2.test deferred, mx3.test deferred, mx4.test deferred, mx5.test delivered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, zone.String())
				for i := 1; i < 5; i++ {
					w.serve(fmt.Sprintf("192.0.2.%d", i), c.script)
				}
				w.serve("192.0.2.5", "")
				at := w.deliver(plain, "you@example.test")
				if got := story(at); got != c.want {
					t.Errorf("%s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// A primary that takes its time must not use up the attempt: the backup is reached within the budget.
func TestBudgetReachesTheBackup(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts, func(c *Config, _ *Deps) { c.Timeouts.Attempt = 4 * time.Minute })
		w.serve("192.0.2.1", "banner stall")
		w.serve("192.0.2.2", "")
		began := time.Now()
		at := w.deliver(plain, "you@example.test")
		if got := summaries(at); got != "sent@mx2.test" {
			t.Error(got)
		}
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("took %s, want half of the budget", took)
		}
		if at.Used != 2*time.Minute {
			t.Errorf("used %s of the budget", at.Used)
		}
	})
}

// The wait after the dot is never cut by the budget, and does not spend it.
func TestBudgetNeverCutsTheWaitAfterTheDot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost, func(c *Config, _ *Deps) { c.Timeouts.Attempt = time.Minute })
		w.serve("192.0.2.1", "dot sleep 9m / 250 2.0.0 at last")
		at := w.deliver(plain, "you@example.test")
		if got := summaries(at); got != "sent@mx1.test" || at.Used != 0 {
			t.Errorf("%s, used %s", got, at.Used)
		}
	})
}

const dual = `
example.test. MX 10 mx1.test.
mx1.test.     AAAA 2001:db8::1
mx1.test.     A 192.0.2.1
us.test.      A 192.0.2.100
`

// A refusal by policy over IPv6 is tried once over IPv4, in the first attempt only; only a 2xx counts.
func TestPolicyRefusalIsTriedOverTheOtherFamily(t *testing.T) {
	const refuses = "mail 550 5.7.1 your network is not welcome"
	for _, c := range []struct {
		name, v6, v4 string
		attempt      int
		want         string
	}{
		{"taken back", refuses, "", 1, "sent@mx1.test"},
		{"at RCPT", "rcpt 550 5.7.26 no", "", 1, "sent@mx1.test"},
		{"refused too", refuses, "mail 550 5.1.8 bad sender", 1, "bounced/5.7.1@mx1.test"},
		{"deferred there", refuses, "mail 451 4.7.0 later", 1, "bounced/5.7.1@mx1.test"},
		{"not in a later attempt", "", refuses, 2, "bounced/5.7.1@mx1.test"}, // which begins with IPv4
		{"another refusal", "mail 550 5.1.8 bad sender", "", 1, "bounced/5.1.8@mx1.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, dual)
				w.serve("2001:db8::1", c.v6)
				w.serve("192.0.2.1", c.v4)
				tr := transactionTo(t, plain, "you@example.test")
				tr.Attempt = c.attempt
				at := w.deliverTransaction(tr)
				if got := summaries(at); got != c.want {
					t.Errorf("%s, want %s (%s)", got, c.want, story(at))
				}
			})
		})
	}
}

// Mixed replies at RCPT are about recipients, not about us.
func TestPolicyRefusalOfSomeStands(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, dual)
		w.serve("2001:db8::1", "rcpt <a@.*> 550 5.7.1 no")
		v4 := w.serve("192.0.2.1", "")
		if got := summaries(w.deliver(plain, "a@example.test", "b@example.test")); got != "bounced/5.7.1@mx1.test sent@mx1.test" {
			t.Error(got)
		}
		if n := len(v4.Connections()); n != 0 {
			t.Errorf("%d connections over IPv4", n)
		}
	})
}

const equals = `
example.test. MX 10 mx1.test.
example.test. MX 10 mx2.test.
mx1.test.     A 192.0.2.1
mx2.test.     A 192.0.2.2
us.test.      A 192.0.2.100
`

// A host that does not answer the connection costs two seconds, not fifteen, when there is another of the same preference.
func TestStaggeredConnects(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, equals)
		w.net.Blackhole("192.0.2.1")
		w.net.Blackhole("192.0.2.2")
		silent := w.firstOf(t)
		other := "192.0.2.1"
		if silent == other {
			other = "192.0.2.2"
		}
		w.net.Restore(other)
		w.serve(other, "")
		began := time.Now()
		at := w.deliver(plain, "you@example.test")
		if at.Outcomes[0].Disposition != mail.Delivered || time.Since(began) != 2*time.Second {
			t.Errorf("%s after %s", summaries(at), time.Since(began))
		}
	})
}

// firstOf says which of two equal hosts is tried first by the next attempt.
func (w *world) firstOf(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	at := w.agent.Deliver(ctx, transactionTo(t, plain, "you@example.test"))
	return at.Candidates[0].Address.String()
}

// A host that has connected keeps its turn through a greet delay.
func TestGreetDelayKeepsItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, equals)
		a := w.serve("192.0.2.1", "banner sleep 20s / 220 at last")
		b := w.serve("192.0.2.2", "banner sleep 20s / 220 at last")
		at := w.deliver(plain, "you@example.test")
		if got := at.Outcomes[0].Disposition; got != mail.Delivered {
			t.Error(got)
		}
		if n := len(a.Connections()) + len(b.Connections()); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// The loser of a race gets QUIT and no penalty.
func TestLoserOfARaceGetsQuit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, equals)
		servers := map[string]*smtptest.Server{"192.0.2.1": w.serve("192.0.2.1", ""), "192.0.2.2": w.serve("192.0.2.2", "")}
		w.net.Delay("192.0.2.1", 3*time.Second)
		w.net.Delay("192.0.2.2", 3*time.Second)
		first := w.firstOf(t)
		for ip, s := range servers { // the first connects after 3 s and greets late; the other connects after 2+1 s and greets at once
			if ip == first {
				if err := s.SetScript("keep wire\nbanner read 6 / 220 late"); err != nil {
					t.Fatal(err)
				}
			} else {
				w.net.Delay(ip, time.Second)
			}
		}
		at := w.deliver(plain, "you@example.test")
		if at.Outcomes[0].Disposition != mail.Delivered || at.Outcomes[0].IP.String() == first {
			t.Fatalf("%s by %s", summaries(at), at.Outcomes[0].IP)
		}
		c, err := servers[first].WaitConnections(context.Background(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(c) != 1 || string(c[0].Wire) != "QUIT\r\n" {
			t.Errorf("the loser heard %+v", c)
		}
		if p, known := w.agent.health.pulses[netip.MustParseAddrPort(first+":25")]; known {
			t.Errorf("the loser has a fault: %+v", p)
		}
		for _, c := range at.Candidates {
			if c.Address.String() == first && c.Verdict != mail.VerdictUnreached {
				t.Errorf("the loser is %s", c.Verdict)
			}
		}
	})
}

// An address that failed twice is skipped until its probe, unless nothing else is left.
func TestHealth(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.2", "")
		for i := range 3 {
			at := w.deliver(plain, "you@example.test")
			want := "mx1.test deferred, mx2.test delivered"
			if i == 2 {
				want = "mx1.test skipped, mx2.test delivered"
			}
			if got := story(at); got != want {
				t.Errorf("attempt %d: %s, want %s", i+1, got, want)
			}
			if i == 2 && !strings.Contains(at.Candidates[0].Reason, "next probe at") {
				t.Errorf("the reason is %q", at.Candidates[0].Reason)
			}
		}
		w.serve("192.0.2.1", "")
		<-time.After(time.Minute + time.Second)
		if got := story(w.deliver(plain, "you@example.test")); got != "mx1.test delivered, mx2.test unreached" {
			t.Errorf("after the probe: %s", got)
		}
	})
}

func TestHealthWhenNothingElseIsLeft(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		for range 4 {
			if got := story(w.deliver(plain, "you@example.test")); got != "mx1.test deferred" {
				t.Errorf("%s", got)
			}
		}
	})
}

func TestProbeDelays(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	var p pulse
	p = p.failed(now, p.down)
	if p.down {
		t.Error("down after one failure")
	}
	if p.failed(now.Add(6*time.Minute), false).down {
		t.Error("down after two failures that are six minutes apart")
	}
	for i, want := range []time.Duration{1, 2, 5, 10, 15, 15} {
		p = p.failed(now, p.down)
		if got := p.nextProbe.Sub(now); !p.down || got != want*time.Minute {
			t.Errorf("probe %d after %s, want %dm", i+1, got, want)
		}
	}
	h := newHealth()
	addr := netip.MustParseAddrPort("192.0.2.1:25")
	h.pulses[addr] = p
	later := now.Add(time.Hour)
	if probe, reason := h.begin(addr, later); reason != "" || !probe {
		t.Errorf("the probe is refused: %s", reason)
	}
	if _, reason := h.begin(addr, later); !strings.Contains(reason, "probe is under way") {
		t.Errorf("a second probe beside the first: %q", reason)
	}
}

func TestSizeAndUTF8(t *testing.T) {
	const small, deaf = "offer PIPELINING / SIZE 10", "offer PIPELINING / 8BITMIME"
	for _, c := range []struct{ name, mx1, mx2, to, want string }{
		{"all too small", small, small, "you@example.test", "bounced/5.3.4"},
		{"one is down", small, "-", "you@example.test", "deferred/4.3.4"},
		{"the backup is larger", small, "", "you@example.test", "sent@mx2.test"},
		{"no SMTPUTF8", deaf, deaf, "j\u00f6rg@example.test", "bounced/5.6.7"},
		{"SMTPUTF8 at the backup", deaf, "", "j\u00f6rg@example.test", "sent@mx2.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, twoHosts)
				w.serve("192.0.2.1", c.mx1)
				if c.mx2 != "-" {
					w.serve("192.0.2.2", c.mx2)
				}
				got := summaries(w.deliver(plain, c.to))
				if before, _, bounced := strings.Cut(got, "@"); bounced && strings.HasPrefix(got, "bounced") {
					got = before
				}
				if got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

// Our own shutdown between the dot and its reply leaves the recipient in doubt; before it nothing was sent.
func TestShutdown(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"dot stall", "deferred/4.4.2?"},
		{"data stall", "deferred/4.3.0"},
		{"banner stall", "deferred/4.3.0"},
	} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			w.serve("192.0.2.1", c.script)
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(30*time.Second, func() { cancel(errors.New("shutting down")) })
			at := w.agent.Deliver(ctx, transactionTo(t, plain, "you@example.test"))
			if got := summaries(at); got != c.want {
				t.Errorf("%s: %s, want %s", c.script, got, c.want)
			}
		})
	}
}

func TestMasks(t *testing.T) {
	for _, c := range []struct{ masks, want, story string }{
		{"mx1.test=down", "sent@mx2.test", "mx1.test deferred, mx2.test delivered"},
		{"mx1.test=timeout", "sent@mx2.test", "mx1.test deferred, mx2.test delivered"},
		{"mx1.test=450", "sent@mx2.test", "mx1.test deferred, mx2.test delivered"},
		{"mx1.test=550", "bounced/5.0.0@mx1.test", "mx1.test failed, mx2.test unreached"},
		{"mx1.test=554@greeting", "sent@mx2.test", "mx1.test deferred, mx2.test delivered"},
		{"mx1.test=451@dot mx2.test=down", "deferred/4.0.0", "mx1.test deferred, mx2.test deferred"},
		{"mx1.test=454@starttls", "sent@mx1.test", "mx1.test delivered, mx2.test unreached"},
		{"ipv4=down", "deferred/4.4.1", "mx1.test deferred, mx2.test deferred"},
		{"192.0.2.1=down", "sent@mx2.test", "mx1.test deferred, mx2.test delivered"},
	} {
		t.Run(c.masks, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, twoHosts, func(_ *Config, d *Deps) {
					for m := range strings.FieldsSeq(c.masks) {
						mask, err := ParseMask(m)
						if err != nil {
							t.Fatal(err)
						}
						d.Masks = append(d.Masks, mask)
					}
				})
				w.serve("192.0.2.1", "tls")
				w.serve("192.0.2.2", "")
				at := w.deliver(plain, "you@example.test")
				if got := summaries(at); got != c.want || story(at) != c.story {
					t.Errorf("%s (%s), want %s (%s)", got, story(at), c.want, c.story)
				}
				if strings.Join(at.Pretended, " ") != c.masks {
					t.Errorf("the tree says %v was pretended", at.Pretended)
				}
				if len(w.agent.health.pulses) != 0 {
					t.Error("what was pretended is remembered as real")
				}
			})
		})
	}
	for _, bad := range []string{"", "mx1.test", "=down", "mx1.test=up", "mx1.test=250", "mx1.test=450@quit", "ipv6=450", "a b=down"} {
		if _, err := ParseMask(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// An address literal names the host itself: no DNS is asked, and the connection comes from the configured address of its family.
func TestAddressLiteralsAndSources(t *testing.T) {
	for _, c := range []struct{ to, ip, source string }{
		{"you@[192.0.2.1]", "192.0.2.1", "192.0.2.77"},
		{"you@[IPv6:2001:db8::1]", "2001:db8::1", "2001:db8::77"},
	} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost, func(c *Config, _ *Deps) {
				c.SourceIPv4, c.SourceIPv6 = netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("2001:db8::77")
			})
			s := w.serve(c.ip, "")
			at := w.deliver(plain, c.to)
			if at.Outcomes[0].Disposition != mail.Delivered || at.Rule != mail.RuleLiteral || len(w.dns.Questions()) != 0 {
				t.Errorf("%s: %s by rule %s after %d questions", c.to, summaries(at), at.Rule, len(w.dns.Questions()))
			}
			if from := s.Connections()[0].Remote.(*net.TCPAddr).IP.String(); from != c.source {
				t.Errorf("%s: from %s, want %s", c.to, from, c.source)
			}
		})
	}
}
