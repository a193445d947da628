package delivery

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"sternpost/mail"
)

// bothFamilies is a domain whose one exchanger, and whose relay, have an address of each family.
const bothFamilies = `
example.test.  MX 10 mx1.test.
mx1.test.      A 192.0.2.1
mx1.test.      AAAA 2001:db8::1
private.test.  MX 10 mx2.test.
mx2.test.      A 10.0.0.1
four.test.     MX 10 mx4.test.
mx4.test.      A 192.0.2.1
relay.test.    A 192.0.2.1
relay.test.    AAAA 2001:db8::1
us.test.       A 192.0.2.100
`

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// wiring: what the configuration and the machine say about us and about addresses, and what becomes of mail. want is a summary, for mail that is sent with
// its address.
func wiring() []struct {
	name, to, want, says string
	change               func(*Config, *Deps)
} {
	listen := func(end string) func(*Config, *Deps) {
		return func(c *Config, d *Deps) { // on an address that is only ours by the listener
			d.Listeners, d.Own = []netip.AddrPort{netip.MustParseAddrPort(end)}, addrs("192.0.2.1")
			c.OwnAddresses = addrs("192.0.2.200")
		}
	}
	relay := func(host string, more func(*Config)) func(*Config, *Deps) {
		return func(c *Config, d *Deps) {
			c.Routes = []Route{{Domains: []string{"*"}, Smarthosts: []Smarthost{{Host: host, Port: 25}}}}
			d.Listeners = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:25")}
			more(c)
		}
	}
	none := func(*Config) {}
	return []struct {
		name, to, want, says string
		change               func(*Config, *Deps)
	}{
		{"nothing is us", "example.test", "sent@mx1.test 2001:db8::1", "", func(*Config, *Deps) {}},
		{"hostname", "example.test", "bounced/5.4.6", "mx1.test this is us", func(c *Config, _ *Deps) { c.Hostname = "MX1.test" }},
		{"own_hosts", "example.test", "bounced/5.4.6", "mx1.test this is us", func(c *Config, _ *Deps) { c.OwnHosts = []string{"other.test", "MX1.Test"} }},
		{"own_addresses", "example.test", "bounced/5.4.6", "this is us", func(c *Config, _ *Deps) { c.OwnAddresses = addrs("192.0.2.1") }},
		{"own_addresses, not those of the interfaces", "example.test", "sent@mx1.test 2001:db8::1", "", func(c *Config, d *Deps) {
			c.OwnAddresses, d.Own = addrs("192.0.2.200"), addrs("192.0.2.1")
		}},
		{"an interface", "example.test", "bounced/5.4.6", "this is us", func(_ *Config, d *Deps) { d.Own = addrs("192.0.2.1") }},
		{"an interface that is allowed", "example.test", "sent@mx1.test 2001:db8::1", "", func(c *Config, d *Deps) {
			d.Own, c.AllowAddresses = addrs("192.0.2.1"), []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		}},
		{"a listener", "example.test", "bounced/5.4.6", "this is us", listen("192.0.2.1:25")},
		{"a listener on another port", "example.test", "sent@mx1.test 2001:db8::1", "", listen("192.0.2.1:587")},
		{"a listener on 0.0.0.0", "example.test", "bounced/5.4.6", "this is us", listen("0.0.0.0:25")},
		{"a listener on ::", "example.test", "bounced/5.4.6", "this is us", listen("[::]:25")},
		{"a listener on 0.0.0.0, on another port", "example.test", "sent@mx1.test 2001:db8::1", "", listen("0.0.0.0:587")},
		{"a private address", "private.test", "sent@mx2.test 10.0.0.1", "", func(*Config, *Deps) {}},
		{"block_private", "private.test", "bounced/5.4.4", "10.0.0.1 (private)", func(c *Config, _ *Deps) { c.BlockPrivate = true }},
		{"ipv6 off", "example.test", "sent@mx1.test 192.0.2.1", "", func(c *Config, _ *Deps) { c.IPv6 = false }},
		{"ipv4 off", "example.test", "sent@mx1.test 2001:db8::1", "", func(c *Config, _ *Deps) { c.IPv4 = false }},
		{"ipv4 off, and nothing else", "four.test", "deferred/4.4.4", "IPv4 is switched off", func(c *Config, _ *Deps) { c.IPv4 = false }},
		{"smarthost, ipv6 off", "example.test", "sent@relay.test 192.0.2.1", "", relay("relay.test", func(c *Config) { c.IPv6 = false })},
		{"smarthost, ipv4 off", "example.test", "sent@relay.test 2001:db8::1", "", relay("relay.test", func(c *Config) { c.IPv4 = false })},
		{"smarthost on our own listener", "example.test", "sent@127.0.0.1 127.0.0.1", "", relay("127.0.0.1", none)},
		{"smarthost with our name", "example.test", "sent@relay.test 2001:db8::1", "", relay("relay.test", func(c *Config) { c.OwnHosts = []string{"relay.test"} })},
		{"smarthost with a private address", "example.test", "sent@10.0.0.1 10.0.0.1", "", relay("10.0.0.1", func(c *Config) { c.BlockPrivate = true })},
	}
}

func TestWhatIsUsAndWhatIsRefused(t *testing.T) {
	for _, c := range wiring() {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, bothFamilies, c.change)
				for _, ip := range []string{"192.0.2.1", "2001:db8::1", "10.0.0.1", "127.0.0.1"} {
					w.serve(ip, "")
				}
				o := w.deliver(plain, "you@"+c.to).Outcomes[0]
				got := summary(o)
				if o.Disposition == mail.Delivered {
					got += " " + o.IP.String()
				}
				if got != c.want || !strings.Contains(o.Reason, c.says) {
					t.Errorf("%s, %q; want %s, %q", got, o.Reason, c.want, c.says)
				}
			})
		})
	}
}

// Whatever plan led there, an address that must not be used is not dialled; a smarthost was named by somebody who may.
func TestDialRefuses(t *testing.T) {
	dialled := 0
	w := newWorld(t, oneHost, func(c *Config, d *Deps) {
		c.BlockPrivate, c.IPv6 = true, false
		dial := d.Dial
		d.Dial = func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
			dialled++
			return dial(ctx, local, remote)
		}
	})
	for ip, reason := range map[string]string{
		"127.0.0.1": "loopback", "0.0.0.0": "unspecified", "169.254.1.1": "link-local", "224.0.0.1": "multicast", "10.0.0.1": "private",
		"2001:db8::1": "IPv6 is switched off",
	} {
		conn, e := w.agent.dial(t.Context(), target{addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 25)})
		if conn != nil || e == nil || e.stage != mail.StageConnect || e.cause != causeLocal || e.err.Error() != reason || dialled != 0 {
			t.Errorf("%s: %v, %+v after %d dials", ip, conn, e, dialled)
		}
	}
	w.serve("10.0.0.1", "")
	conn, e := w.agent.dial(t.Context(), target{addr: netip.MustParseAddrPort("10.0.0.1:25"), smarthost: &Smarthost{}})
	if e != nil || dialled != 1 {
		t.Fatalf("smarthost: %+v after %d dials", e, dialled)
	}
	conn.Close()
}
