package delivery

import (
	"strings"
	"testing"

	"sternpost/mail"
)

// What the guard keeps mail from fails, and the others of the same domain get theirs.
func TestGuardAtDelivery(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
		heard  string
		key    string
	}{
		{"nothing", func(*Config) {}, "sent@mx1.test sent@mx1.test", "you@example.test,them@example.test", ""},
		{"only_to", func(c *Config) { c.OnlyTo = []string{"other.test", "You@example.test"} }, "sent@mx1.test bounced/5.7.1", "you@example.test", "delivery.only_to"},
		{"redirect_all", func(c *Config) { c.RedirectAll = "them@example.test" }, "bounced/5.7.1 sent@mx1.test", "them@example.test", "delivery.redirect_all"},
		{"all", func(c *Config) { c.OnlyTo = []string{"other.test"} }, "bounced/5.7.1 bounced/5.7.1", "", "delivery.only_to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost, func(config *Config, _ *Deps) { c.change(config) })
				mx := w.serve("192.0.2.1", "")
				at := w.deliver(plain, "you@example.test", "them@example.test")
				if got := summaries(at); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				if c.name == "all" && len(at.DNS)+len(at.Candidates) > 0 {
					t.Errorf("for nobody's mail %d lookups and %d candidates", len(at.DNS), len(at.Candidates))
				}
				var heard []string
				for _, m := range mx.Messages() {
					heard = append(heard, m.To()...)
				}
				if got := strings.Join(heard, ","); got != c.heard {
					t.Errorf("the exchanger has %s, want %s", got, c.heard)
				}
				for _, o := range at.Outcomes {
					if o.Status == (mail.Status{5, 7, 1}) && !strings.HasPrefix(o.Reason, c.key+" ") {
						t.Errorf("reason %q", o.Reason)
					}
				}
			})
		})
	}
}

// Trouble for the others changes nothing about whom the guard keeps mail from.
func TestGuardStandsBesideTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "example.test. MX 0 .\nus.test. A 192.0.2.100\n", func(c *Config, _ *Deps) { c.OnlyTo = []string{"you@example.test"} })
		if got, want := summaries(w.deliver(plain, "you@example.test", "them@example.test")), "bounced/5.1.10 bounced/5.7.1"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestGuardIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"delivery.only_to: ":      func(c *Config) { c.OnlyTo = []string{"a b"} },
		"delivery.redirect_all: ": func(c *Config) { c.RedirectAll = "example.test" },
		"stands beside":           func(c *Config) { c.RedirectAll, c.OnlyTo = "a@example.test", []string{"*"} },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
