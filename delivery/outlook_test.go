package delivery

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

func TestPolicyInWords(t *testing.T) {
	for _, c := range []struct {
		route Route
		want  string
	}{
		{Route{}, "TLS where the host offers it, without proof of who it is"},
		{Route{TLS: TLSNone}, "in clear, without TLS"},
		{Route{Smarthosts: []Smarthost{{Username: "me"}}}, "TLS is required (STARTTLS)"},
		{Route{Smarthosts: []Smarthost{{TLS: TLSImplicit}}}, "TLS is required, from the first octet"},
	} {
		if got := c.route.policy(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.route, got, c.want)
		}
	}
}

// An outlook connects to nobody, and knows what health knows.
func TestOutlookIsThePlan(t *testing.T) {
	w := newWorld(t, twoHosts, func(_ *Config, d *Deps) {
		d.Dial = func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
			t.Error("it connects")
			return nil, net.ErrClosed
		}
	})
	for range healthFailures {
		w.agent.health.failed(netip.MustParseAddrPort("192.0.2.1:25"), time.Now(), false)
	}
	plan, _ := w.agent.Outlook(t.Context(), "example.test")
	if len(plan.DNS) == 0 || plan.Rule != mail.RuleMX || len(plan.Outcomes) != 0 || len(plan.Candidates) != 2 {
		t.Fatalf("%+v", plan)
	}
	if first, second := plan.Candidates[0], plan.Candidates[1]; first.Verdict != mail.VerdictSkipped || !strings.HasPrefix(first.Reason, "down, failed 2 times") || second.Verdict != mail.VerdictUnreached {
		t.Errorf("%+v", plan.Candidates)
	}
	w.agent.health.failed(netip.MustParseAddrPort("192.0.2.2:25"), time.Now(), false)
	w.agent.health.failed(netip.MustParseAddrPort("192.0.2.9:25"), time.Now(), false)
	plan, _ = w.agent.Outlook(t.Context(), "example.test")
	if first, second := plan.Candidates[0], plan.Candidates[1]; strings.Contains(first.Reason, "once") || !strings.Contains(second.Reason, "; failed once, at ") {
		t.Errorf("%+v", plan.Candidates)
	}
	plan, _ = w.agent.Outlook(t.Context(), "unknown.test")
	if len(plan.Outcomes) != 1 || !plan.Outcomes[0].Recipient.IsZero() || !strings.Contains(plan.Outcomes[0].Reason, "host unknown") {
		t.Errorf("%+v", plan)
	}
}
