package resolver

import (
	"net/netip"
	"slices"
	"testing"

	"sternpost/mail"
)

func TestRefuse(t *testing.T) {
	tests := []struct {
		ip, want string
	}{
		{"192.0.2.1", ""}, {"2001:db8::1", ""}, {"8.8.8.8", ""}, {"10.1.2.3", ""}, {"fd00::1", ""},
		{"127.0.0.1", "loopback"}, {"127.255.255.254", "loopback"}, {"::1", "loopback"},
		{"::ffff:127.0.0.1", "loopback"}, {"::ffff:192.0.2.1", ""},
		{"0.0.0.0", "unspecified"}, {"0.1.2.3", "unspecified"}, {"::", "unspecified"},
		{"169.254.169.254", "link-local"}, {"fe80::1", "link-local"}, {"fe80::1%eth0", "link-local"},
		{"224.0.0.1", "multicast"}, {"ff02::1", "multicast"}, {"255.255.255.255", "broadcast"},
		{"64:ff9b::7f00:1", "loopback (it leads to 127.0.0.1)"}, {"64:ff9b::c000:201", ""},
		{"2002:7f00:1::1", "loopback (it leads to 127.0.0.1)"}, {"2002:c000:201::1", ""},
		{"::127.0.0.1", "loopback (it leads to 127.0.0.1)"},
		{"64:ff9b:1::7f00:1", "loopback (it leads to 127.0.0.1)"}, {"64:ff9b:1:ab:cd:ef:7f00:1", "loopback (it leads to 127.0.0.1)"},
		{"64:ff9b:1:7f00:0:100::", "loopback (it leads to 127.0.0.1)"}, {"64:ff9b:1:c000:2:100::", ""}, {"64:ff9b:1::c000:201", ""},
		{"64:ff9b::a9fe:a9fe", "link-local (it leads to 169.254.169.254)"},
	}
	for _, test := range tests {
		if got := (Screen{}).Refuse(netip.MustParseAddr(test.ip)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.ip, got, test.want)
		}
	}
	if (Screen{}).Refuse(netip.Addr{}) == "" {
		t.Error("the zero address was taken")
	}
}

func TestRefusePrivate(t *testing.T) {
	s := Screen{BlockPrivate: true, Allow: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}
	for ip, want := range map[string]string{
		"10.1.2.3": "private", "172.16.0.1": "private", "192.168.1.1": "private", "100.64.0.1": "private", "100.128.0.1": "",
		"fd00::1": "private", "fec0::1": "private", "2001:db8::1": "", "192.0.2.1": "",
		"64:ff9b::a01:203": "private (it leads to 10.1.2.3)", "10.9.1.1": "", "64:ff9b::a09:101": "",
	} {
		if got := s.Refuse(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: got %q, want %q", ip, got, want)
		}
	}
}

func TestAllowAndFamilies(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := []struct {
		screen   Screen
		ip, want string
	}{
		{Screen{Allow: loopback}, "127.0.0.1", ""},
		{Screen{Allow: loopback}, "::ffff:127.0.0.1", ""},
		{Screen{Allow: loopback}, "::1", "loopback"},
		{Screen{Allow: loopback, NoIPv4: true}, "127.0.0.1", "IPv4 is switched off"},
		{Screen{NoIPv6: true}, "2001:db8::1", "IPv6 is switched off"},
		{Screen{NoIPv6: true}, "192.0.2.1", ""},
	}
	for _, test := range tests {
		if got := test.screen.Refuse(netip.MustParseAddr(test.ip)); got != test.want {
			t.Errorf("%+v %s: got %q, want %q", test.screen, test.ip, got, test.want)
		}
	}
}

func TestIsUs(t *testing.T) {
	s := Screen{
		OwnHosts: []string{"me.test."}, OwnAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.99")}, Port: 2525,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Listeners: []netip.AddrPort{
			netip.MustParseAddrPort("127.0.0.2:2525"), netip.MustParseAddrPort("127.0.0.3:25"), netip.MustParseAddrPort("0.0.0.0:2526"),
		},
	}
	for _, test := range []struct {
		host Exchanger
		port int
		want bool
	}{
		{host("ME.test", 1), 2525, true},
		{host("other.test", 1, "192.0.2.99"), 2525, true},
		{host("other.test", 1, "192.0.2.98"), 2525, false},
		{host("other.test", 1, "64:ff9b::192.0.2.99"), 2525, true},
		{host("other.test", 1, "64:ff9b::192.0.2.98"), 2525, false},
		{host("other.test", 1, "127.0.0.2"), 2525, true},
		{host("other.test", 1, "127.0.0.3"), 2525, false},
		{host("other.test", 1, "127.0.0.4"), 2526, true},
		{host("other.test", 1, "192.0.2.1"), 2526, false},
	} {
		s.Port = test.port
		x := s.Apply(Exchangers{Domain: "d.test", Rule: mail.RuleMX, Hosts: []Exchanger{test.host}})
		if got := x.Failure != nil && x.Failure.Status == (mail.Status{5, 4, 6}); got != test.want {
			t.Errorf("%s %v: us is %t", test.host.Host, test.host.Addresses, got)
		}
	}
}

func TestFamilySwitchedOffDefers(t *testing.T) {
	x := Exchangers{Domain: "d.test", Rule: mail.RuleMX, Hosts: []Exchanger{host("six.test", 1, "2001:db8::1")}}
	f := Screen{NoIPv6: true}.Apply(x).Failure
	if f == nil || f.Disposition != mail.Deferred || f.Status != (mail.Status{4, 4, 4}) {
		t.Errorf("got %+v", f)
	}
}

func TestApplyDoesNotChangeItsArgument(t *testing.T) {
	x := Exchangers{Domain: "d.test", Rule: mail.RuleMX, Hosts: []Exchanger{host("self.test", 1, "127.0.0.1"), host("b.test", 2, "192.0.2.1")}}
	ours().Apply(x)
	if x.Failure != nil || slices.ContainsFunc(x.Hosts, func(e Exchanger) bool { return e.Skipped != "" || e.Addresses[0].Skipped != "" }) {
		t.Errorf("got %+v", x)
	}
}
