package delivery

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/mail"
)

const siteZone = `
one.test.      MX 20 mx2.provider.test.
one.test.      MX 10 mx1.provider.test.
two.test.      MX 10 mx1.provider.test.
two.test.      MX 20 mx2.provider.test.
other.test.    MX 10 mx2.provider.test.
lame.test.     MX 10 gone.provider.test.
lame.test.     MX 20 mx2.provider.test.
circle.test.   MX 10 mx1.provider.test.
circle.test.   MX 20 us.test.
bare.test.     A 192.0.2.9
nothing.test.  MX 0 .
mx1.provider.test. A 192.0.2.1
mx2.provider.test. A 192.0.2.2
us.test.       A 192.0.2.100
`

func TestSitesAreNamedByTheirHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, siteZone, func(c *Config, _ *Deps) {
			c.Routes = []Route{{Domains: []string{"relayed.test"}, Smarthosts: []Smarthost{
				{Host: "relay.test", Username: "me", Password: "opensesame"}, {Host: "192.0.2.7", Port: 2525},
			}}}
		})
		for domain, want := range map[mail.Domain]string{
			"one.test":     "10 mx1.provider.test, 20 mx2.provider.test",
			"two.test":     "10 mx1.provider.test, 20 mx2.provider.test",
			"other.test":   "10 mx2.provider.test",
			"lame.test":    "20 mx2.provider.test",
			"circle.test":  "10 mx1.provider.test",
			"bare.test":    "0 bare.test",
			"nothing.test": "nothing.test",
			"absent.test":  "absent.test",
			"[192.0.2.3]":  "0 192.0.2.3",
			"relayed.test": "smarthost relay.test:587 as me, smarthost 192.0.2.7:2525",
		} {
			name, until := w.agent.Site(t.Context(), domain)
			if name != want {
				t.Errorf("%s: %q, want %q", domain, name, want)
			}
			if left := time.Until(until); left <= 0 || left > 25*time.Hour {
				t.Errorf("%s: good for %s", domain, left)
			}
		}
	})
}

func TestSiteNamesAreBounded(t *testing.T) {
	var zone strings.Builder
	for i := range 150 {
		fmt.Fprintf(&zone, "wide.test. MX 10 mx%03d.a-rather-long-name.test.\nmx%03d.a-rather-long-name.test. A 192.0.2.1\n", i, i)
		if i > 0 {
			fmt.Fprintf(&zone, "wider.test. MX 10 mx%03d.a-rather-long-name.test.\n", i)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, zone.String()+"wider.test. MX 10 mx000.a-rather-long-name.test.\nwider.test. MX 20 us.test.\nus.test. A 192.0.2.100\n")
		wide, _ := w.agent.Site(t.Context(), "wide.test")
		wider, _ := w.agent.Site(t.Context(), "wider.test")
		if len(wide) > longestSite || !strings.Contains(wide, "(150 hosts") || wide != wider {
			t.Errorf("%d octets: %s\n%s", len(wide), wide, wider)
		}
	})
}

func TestSiteOfAnEndedContextIsTheDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, siteZone)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		name, until := w.agent.Site(ctx, "one.test")
		if name != "one.test" || time.Until(until) <= 0 {
			t.Errorf("got %q until %s", name, until)
		}
	})
}
