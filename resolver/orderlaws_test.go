package resolver

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// drawn is a random list of hosts: several preferences, both families, hosts and addresses that may not be tried.
func drawn(random *rand.Rand) []Exchanger {
	hosts := make([]Exchanger, random.IntN(13))
	ranks := 1 + random.IntN(4)
	for i := range hosts {
		hosts[i] = Exchanger{Host: fmt.Sprintf("h%d.test", i), Preference: 10 * random.IntN(ranks)}
		for j := range random.IntN(5) {
			hosts[i].Addresses = append(hosts[i].Addresses, Address{IP: netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i), 15: byte(j)})})
		}
		for j := range random.IntN(5) {
			hosts[i].Addresses = append(hosts[i].Addresses, Address{IP: netip.AddrFrom4([4]byte{192, 0, byte(i), byte(j)})})
		}
		for j := range hosts[i].Addresses {
			if random.IntN(8) == 0 {
				hosts[i].Addresses[j].Skipped = "refused"
			}
		}
		if random.IntN(8) == 0 {
			hosts[i].Skipped = reasonUs
		}
	}
	return hosts
}

// mayBeTried counts the usable addresses of each host that has any.
func mayBeTried(hosts []Exchanger) (counts map[int]int, total int) {
	counts = make(map[int]int)
	for i, host := range hosts {
		if n := len(alternate(host)); n > 0 {
			counts[i] = n
			total += n
		}
	}
	return counts, total
}

// TestOrderLaws: whatever the hosts are, in each attempt every address has one place, preferences ascend, hosts stay together, the limit is used up, hosts
// share it breadth first, and one of the least preferred hosts is tried.
func TestOrderLaws(t *testing.T) {
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 1))
		hosts := drawn(random)
		s := Shuffle{Seed: seed, Attempt: random.IntN(9), Limit: random.IntN(12)}
		places := s.Order(hosts)
		for _, broken := range []string{eachOnce(hosts, places), wrongOrder(hosts, places), wrongShares(hosts, places, s.Limit)} {
			if broken != "" {
				t.Fatalf("%+v: %s\nhosts  %+v\nplaces %+v", s, broken, hosts, places)
			}
		}
	}
}

func eachOnce(hosts []Exchanger, places []Place) string {
	type key struct {
		host int
		ip   netip.Addr
	}
	seen := make(map[key]int)
	for _, p := range places {
		seen[key{p.Host, p.Address}]++
	}
	total := 0
	for i, host := range hosts {
		wanted := host.Addresses
		if len(wanted) == 0 {
			wanted = []Address{{}} // the host itself has a place, with its reason
		}
		for _, a := range wanted {
			total++
			if seen[key{i, a.IP}] != 1 {
				return fmt.Sprintf("%s %s has %d places", host.Host, a.IP, seen[key{i, a.IP}])
			}
		}
	}
	if total != len(places) {
		return fmt.Sprintf("%d places, want %d", len(places), total)
	}
	return ""
}

func wrongShares(hosts []Exchanger, places []Place, limit int) string {
	counts, total := mayBeTried(hosts)
	if limit <= 0 || limit > total {
		limit = total
	}
	given := make(map[int]int)
	tried, last := 0, -1
	for _, p := range places {
		if p.Skipped != "" {
			continue
		}
		if hosts[p.Host].Skipped != "" {
			return "a skipped host is tried"
		}
		tried++
		given[p.Host]++
		last = hosts[p.Host].Preference
	}
	least, most, none := -1, 0, false
	for host := range counts {
		least = max(least, hosts[host].Preference)
		most = max(most, given[host])
		none = none || given[host] == 0
	}
	switch {
	case tried != limit:
		return fmt.Sprintf("%d addresses are tried, want %d", tried, limit)
	case last != least:
		return "no least preferred host is tried"
	case none && most > 1:
		return "a host has a second place before another has its first"
	}
	return ""
}

// TestOrderTurns: where a preference has places at all, every address that may be tried has its turn, and a host with both families has begun with each.
func TestOrderTurns(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 2))
		hosts := drawn(random)
		limit := 1 + random.IntN(11)
		const attempts = 13 * 8 * 2 // more than hosts by addresses by families
		seen := make(map[string]bool)
		served := make(map[int]bool)
		for attempt := 1; attempt <= attempts; attempt++ {
			before := -1
			for _, p := range (Shuffle{Seed: seed, Attempt: attempt, Limit: limit}).Order(hosts) {
				if p.Skipped != "" {
					continue
				}
				served[hosts[p.Host].Preference] = true
				seen[fmt.Sprint(p.Host, p.Address)] = true
				if p.Host != before {
					seen[fmt.Sprint(p.Host, " begins with IPv4 ", p.Address.Is4())] = true
				}
				before = p.Host
			}
		}
		for i, host := range hosts {
			if served[host.Preference] {
				requireTurns(t, seen, i, host)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d, limit %d: %+v", seed, limit, hosts)
		}
	}
}

func requireTurns(t *testing.T, seen map[string]bool, i int, host Exchanger) {
	t.Helper()
	v6, v4 := families(alternate(host))
	for _, ip := range append(v6, v4...) {
		if !seen[fmt.Sprint(i, ip)] {
			t.Errorf("%s %s is never tried", host.Host, ip)
		}
	}
	for _, is4 := range []bool{true, false} {
		if len(v6) > 0 && len(v4) > 0 && !seen[fmt.Sprint(i, " begins with IPv4 ", is4)] {
			t.Errorf("%s never begins with IPv4 being %t", host.Host, is4)
		}
	}
}

// TestOneAddressAHostStillReachesBothFamilies: eight hosts with both families share eight places; over two attempts each is tried over both.
func TestOneAddressAHostStillReachesBothFamilies(t *testing.T) {
	var hosts []Exchanger
	for i := range 8 {
		hosts = append(hosts, host(fmt.Sprintf("h%d", i), 10, fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("2001:db8::%d", i)))
	}
	seen := make(map[string]bool)
	for attempt := 1; attempt <= 2; attempt++ {
		for _, place := range tried(hosts, Shuffle{Seed: 3, Attempt: attempt, Limit: 8}) {
			seen[place] = true
		}
	}
	if len(seen) != 16 {
		t.Errorf("%d of 16 addresses were tried: %v", len(seen), seen)
	}
}
