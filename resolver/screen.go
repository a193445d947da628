package resolver

import (
	"net/netip"
	"slices"
	"strings"
)

// Screen is what keeps mail from going to ourselves and to addresses that no exchanger can have. It is a plain value.
type Screen struct {
	// OwnHosts are names that are us; their case does not count.
	OwnHosts []string
	// OwnAddresses are addresses that are us on every port. Allow does not take any out: who fills in the addresses of the
	// interfaces leaves out those that are allowed.
	OwnAddresses []netip.Addr
	// Listeners are the ends where we listen ourselves. An unspecified address stands for the loopback ones.
	Listeners []netip.AddrPort
	// Port is the port that exchangers are connected to.
	Port int
	// Allow lifts the refusal of addresses.
	Allow []netip.Prefix
	// BlockPrivate refuses private addresses too.
	BlockPrivate bool
	// NoIPv4 and NoIPv6 switch a family off.
	NoIPv4, NoIPv6 bool
}

// Why an address is refused. The families are apart because it is our own choice.
const (
	reasonNoIPv4 = "IPv4 is switched off"
	reasonNoIPv6 = "IPv6 is switched off"
)

// Apply marks the hosts and addresses that must not be tried, cuts the list at us (RFC 5321 s5.1), and gives the verdict where nothing is
// left. It does not change x. An address is refused before it is compared with our own, so that an exchanger on 127.0.0.1 is an
// error of the domain and not a loop.
func (s Screen) Apply(x Exchangers) Exchangers {
	if len(x.Hosts) == 0 {
		return x
	}
	hosts := slices.Clone(x.Hosts)
	for i, host := range hosts {
		hosts[i].Addresses = s.mark(host.Addresses)
	}
	x.Hosts = s.cutAtUs(hosts)
	x.Failure = judge(x)
	return x
}

func (s Screen) mark(addresses []Address) []Address {
	marked := slices.Clone(addresses)
	for i, a := range marked {
		marked[i].Skipped = s.Refuse(a.IP)
	}
	return marked
}

// cutAtUs skips the hosts that are us and all that are not preferred to us.
func (s Screen) cutAtUs(hosts []Exchanger) []Exchanger {
	found := false
	limit := 0
	for i, host := range hosts {
		if s.isUs(host) {
			hosts[i].Skipped = reasonUs
			if !found || host.Preference < limit {
				found, limit = true, host.Preference
			}
		}
	}
	for i, host := range hosts {
		if found && host.Preference >= limit && host.Skipped != reasonUs {
			hosts[i].Skipped = reasonBehindUs
		}
	}
	return hosts
}

func (s Screen) isUs(host Exchanger) bool {
	named := slices.ContainsFunc(s.OwnHosts, func(own string) bool {
		return strings.EqualFold(strings.TrimSuffix(own, "."), host.Host)
	})
	return named || slices.ContainsFunc(host.Addresses, func(a Address) bool { return a.Skipped == "" && s.leadsToUs(a.IP) })
}

// leadsToUs looks behind translators and tunnels too.
func (s Screen) leadsToUs(ip netip.Addr) bool {
	inner, ok := embedded(ip)
	return s.isOwn(ip) || ok && s.isOwn(inner)
}

func (s Screen) isOwn(ip netip.Addr) bool {
	own := slices.ContainsFunc(s.OwnAddresses, func(o netip.Addr) bool { return o.Unmap() == ip })
	return own || slices.ContainsFunc(s.Listeners, func(l netip.AddrPort) bool {
		here := l.Addr().Unmap() == ip || l.Addr().IsUnspecified() && ip.IsLoopback()
		return here && int(l.Port()) == s.Port
	})
}

// Refuse says why ip must not be connected to; empty: it may be. It holds at connect time too, where the address may come from elsewhere than
// the DNS. An IPv4 address within an IPv6 one (mapped, compatible, NAT64, 6to4) is judged as well.
func (s Screen) Refuse(ip netip.Addr) string {
	ip = ip.Unmap()
	switch {
	case !ip.IsValid():
		return "no address"
	case s.NoIPv4 && ip.Is4():
		return reasonNoIPv4
	case s.NoIPv6 && ip.Is6():
		return reasonNoIPv6
	case s.allowed(ip):
		return ""
	}
	if reason := s.refuseRange(ip); reason != "" {
		return reason
	}
	return s.refuseEmbedded(ip)
}

func (s Screen) refuseEmbedded(ip netip.Addr) string {
	inner, ok := embedded(ip)
	if !ok || s.allowed(inner) {
		return ""
	}
	reason := s.refuseRange(inner)
	if reason != "" {
		reason += " (it leads to " + inner.String() + ")"
	}
	return reason
}

func (s Screen) allowed(ip netip.Addr) bool {
	return slices.ContainsFunc(s.Allow, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func (s Screen) refuseRange(ip netip.Addr) string {
	switch {
	case ip.IsUnspecified(), ip.Is4() && ip.As4()[0] == 0: // RFC 1122 s3.2.1.3: "this network"; 0.0.0.0 is this host
		return "unspecified"
	case ip.IsLoopback():
		return "loopback"
	case ip.IsLinkLocalUnicast(), ip.Zone() != "":
		return "link-local"
	case ip.IsMulticast():
		return "multicast"
	case ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "broadcast"
	case s.BlockPrivate && isPrivate(ip):
		return "private"
	}
	return ""
}

// isPrivate adds to RFC 1918 and RFC 4193 the shared space of RFC 6598 and the former site-local space of RFC 3879.
func isPrivate(ip netip.Addr) bool {
	if ip.IsPrivate() {
		return true
	}
	if ip.Is4() {
		b := ip.As4()
		return b[0] == 100 && b[1]&0xc0 == 64
	}
	b := ip.As16()
	return b[0] == 0xfe && b[1]&0xc0 == 0xc0
}

// embedded returns the IPv4 address that connections to ip end at where a translator or tunnel stands between: NAT64 with the well-known
// prefix (RFC 6052 s2.1) or the local one (RFC 8215), 6to4 (RFC 3056 s2), IPv4-compatible (RFC 4291 s2.5.5.1). A NAT64 prefix that a network took
// from its own space cannot be known from the address.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	if ip.Is4() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	front := [12]byte(b[:12])
	switch {
	case front == [12]byte{0x00, 0x64, 0xff, 0x9b}, front == [12]byte{}:
		return netip.AddrFrom4([4]byte(b[12:])), true
	case [6]byte(b[:6]) == [6]byte{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}:
		return embeddedLocal(b), true
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// embeddedLocal reads an address of 64:ff9b:1::/48. Prefixes of 96 bits within it end in the IPv4 address; one of 48 bits has it behind itself, around
// an octet of zero, and zeros at the end (RFC 6052 s2.2).
func embeddedLocal(b [16]byte) netip.Addr {
	if [5]byte(b[11:]) == [5]byte{} {
		return netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]})
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}
