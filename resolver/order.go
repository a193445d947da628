package resolver

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// Shuffle is what the walk order depends on besides the hosts. The same values give the same order.
type Shuffle struct {
	// Seed is the source of randomness, that of the message.
	Seed uint64
	// Attempt is the number of the attempt; the first is 1.
	Attempt int
	// Limit is how many addresses the attempt may try; zero or less: all.
	Limit int
}

// Place is one address in the walk.
type Place struct {
	// Host is the index of its host in the list that Order was given.
	Host int
	// Address is zero where the host has none.
	Address netip.Addr
	// Skipped says why it is not to be tried; empty: it is.
	Skipped string
}

// turn is one usable host in the walk.
type turn struct {
	host      int
	addresses []netip.Addr // those that may be tried, families alternating
	places    int          // how many of them are tried in this attempt
	before    int          // in how many earlier attempts the host had places
}

// Order returns every address of every host exactly once, in the order of the walk. Preferences ascend, equal ones are shuffled
// (RFC 5321 s5.1), families alternate within a host, and lead in turn. Hosts share the limit breadth first, and one place is kept for the least preferred one; the walk
// itself goes host by host, since a backup must not be used while the primary answers on another address. What the limit leaves
// out comes first among its equals in the next attempt: the lists turn, and are not shuffled anew.
func (s Shuffle) Order(hosts []Exchanger) []Place {
	all := byPreference(hosts)
	groups := make([][]turn, len(all))
	total := 0
	for i, group := range all {
		for _, host := range group {
			if addresses := alternate(hosts[host]); len(addresses) > 0 {
				groups[i] = append(groups[i], turn{host: host, addresses: addresses})
				total += len(addresses)
			}
		}
	}
	limit := s.Limit
	if limit <= 0 || limit >= total {
		limit = total
	}
	s.arrange(groups, limit, limit < total)
	allot(groups, limit)
	return s.walk(hosts, all, groups)
}

// byPreference groups the indices of hosts, ascending.
func byPreference(hosts []Exchanger) [][]int {
	order := make([]int, len(hosts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(hosts[a].Preference, hosts[b].Preference) })
	var groups [][]int
	for i, host := range order {
		if i == 0 || hosts[host].Preference != hosts[order[i-1]].Preference {
			groups = append(groups, nil)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], host)
	}
	return groups
}

// alternate lists the addresses of a host that may be tried: IPv6, IPv4, IPv6 and so on.
func alternate(host Exchanger) []netip.Addr {
	var usable []netip.Addr
	for _, a := range host.Addresses {
		if host.Skipped == "" && a.Skipped == "" {
			usable = append(usable, a.IP)
		}
	}
	v6, v4 := families(usable)
	return interleave(v6, v4)
}

func families(addresses []netip.Addr) (v6, v4 []netip.Addr) {
	for _, ip := range addresses {
		if ip.Is4() {
			v4 = append(v4, ip)
		} else {
			v6 = append(v6, ip)
		}
	}
	return v6, v4
}

func interleave(first, second []netip.Addr) []netip.Addr {
	mixed := make([]netip.Addr, 0, len(first)+len(second))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			mixed = append(mixed, first[i])
		}
		if i < len(second) {
			mixed = append(mixed, second[i])
		}
	}
	return mixed
}

// arrange shuffles each group. Where the limit leaves something out (turning), the shuffle is that of the first attempt, and each later attempt begins
// where the one before it ended.
func (s Shuffle) arrange(groups [][]turn, limit int, turning bool) {
	attempt := max(s.Attempt, 1)
	stream := uint64(attempt)
	if turning {
		stream = 0
	}
	random := rand.New(rand.NewPCG(s.Seed, stream))
	shares := share(groups, limit)
	for i, group := range groups {
		random.Shuffle(len(group), func(a, b int) { group[a], group[b] = group[b], group[a] })
		if !turning || len(group) == 0 {
			for j := range group {
				group[j].before = attempt - 1
			}
			continue
		}
		passed := shares[i] * (attempt - 1) // places of this group in all attempts before
		for j := range group {
			group[j].before = (passed - j + len(group) - 1) / len(group)
		}
		start := passed % len(group)
		copy(group, slices.Concat(group[start:], group[:start]))
	}
}

// share says how many hosts of each group get a place, in order of preference, with one kept for the last group that has a host.
func share(groups [][]turn, limit int) []int {
	shares := make([]int, len(groups))
	for last := len(groups) - 1; last >= 0 && limit > 0; last-- {
		if len(groups[last]) > 0 {
			shares[last] = 1
			limit--
			break
		}
	}
	for i, group := range groups {
		more := min(len(group)-shares[i], limit)
		shares[i] += more
		limit -= more
	}
	return shares
}

// allot gives out the places: one for each host of the shares, then further rounds over all hosts while places are left.
func allot(groups [][]turn, limit int) {
	for i, n := range share(groups, limit) {
		for j := range n {
			groups[i][j].places = 1
		}
		limit -= n
	}
	for given := true; given && limit > 0; {
		given = false
		for _, group := range groups {
			for j := range group {
				if group[j].places < len(group[j].addresses) && limit > 0 {
					group[j].places++
					limit--
					given = true
				}
			}
		}
	}
}

// walk writes the groups down: in each, the hosts that are tried, then those that are skipped.
func (s Shuffle) walk(hosts []Exchanger, all [][]int, groups [][]turn) []Place {
	var places []Place
	for i, group := range groups {
		for _, t := range group {
			places = append(places, t.write(s.Limit)...)
			places = append(places, skipped(hosts, t.host)...)
		}
		for _, host := range all[i] {
			if !hosts[host].usable() {
				places = append(places, skipped(hosts, host)...)
			}
		}
	}
	return places
}

// write lists the usable addresses of one host: those that are tried, then those that the limit leaves out.
func (t turn) write(limit int) []Place {
	places := make([]Place, 0, len(t.addresses))
	tried, left := t.choose()
	for _, ip := range tried {
		places = append(places, Place{Host: t.host, Address: ip})
	}
	for _, ip := range left {
		places = append(places, Place{Host: t.host, Address: ip, Skipped: fmt.Sprintf("left out by the limit of %d addresses", limit)})
	}
	return places
}

// choose says which addresses have the places of the host this time. Each family turns by itself, so that every address has its turn and both
// families are tried where there are two places. Every second time IPv4 leads, so that a host which defers one family for days gets the mail over
// the other.
func (t turn) choose() (tried, left []netip.Addr) {
	if t.places == 1 {
		turned := turnBy(t.addresses, t.before)
		return turned[:1], turned[1:]
	}
	v6, v4 := families(t.addresses)
	n6 := min(len(v6), max((t.places+1)/2, t.places-len(v4)))
	n4 := t.places - n6
	v6, v4 = turnBy(v6, t.before*n6), turnBy(v4, t.before*n4)
	left = interleave(v6[n6:], v4[n4:])
	if t.before%2 == 1 {
		return interleave(v4[:n4], v6[:n6]), left
	}
	return interleave(v6[:n6], v4[:n4]), left
}

// turnBy moves the first n addresses to the end, counting round and round.
func turnBy(addresses []netip.Addr, n int) []netip.Addr {
	if len(addresses) == 0 {
		return nil
	}
	n %= len(addresses)
	return slices.Concat(addresses[n:], addresses[:n])
}

// skipped lists the addresses of a host that may not be tried, or the host itself where it has none.
func skipped(hosts []Exchanger, host int) []Place {
	e := hosts[host]
	if len(e.Addresses) == 0 {
		return []Place{{Host: host, Skipped: cmp.Or(e.Skipped, reasonNone)}}
	}
	var places []Place
	for _, a := range e.Addresses {
		if reason := cmp.Or(a.Skipped, e.Skipped); reason != "" {
			places = append(places, Place{Host: host, Address: a.IP, Skipped: reason})
		}
	}
	return places
}
