package resolver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func host(name string, preference int, ips ...string) Exchanger {
	e := Exchanger{Host: name, Preference: preference}
	for _, ip := range ips {
		e.Addresses = append(e.Addresses, Address{IP: netip.MustParseAddr(ip)})
	}
	return e
}

// tried writes the places that are tried as "host address".
func tried(hosts []Exchanger, s Shuffle) []string {
	var walk []string
	for _, p := range s.Order(hosts) {
		if p.Skipped == "" {
			walk = append(walk, hosts[p.Host].Host+" "+p.Address.String())
		}
	}
	return walk
}

// many makes n hosts of one preference, each with so many addresses.
func many(n, preference, addresses int) []Exchanger {
	var hosts []Exchanger
	for i := range n {
		var ips []string
		for j := range addresses {
			ips = append(ips, fmt.Sprintf("192.%d.%d.%d", preference, i, j))
		}
		hosts = append(hosts, host(fmt.Sprintf("p%dh%d", preference, i), preference, ips...))
	}
	return hosts
}

func TestOrder(t *testing.T) {
	dual := host("a", 10, "192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3", "2001:db8::2")
	tests := []struct {
		name  string
		hosts []Exchanger
		limit int
		want  string
	}{
		{"families alternate", []Exchanger{dual}, 8, "a 2001:db8::1, a 192.0.2.1, a 2001:db8::2, a 192.0.2.2, a 192.0.2.3"},
		{"preference decides", []Exchanger{host("b", 20, "192.0.2.9"), host("a", 10, "192.0.2.8")}, 8, "a 192.0.2.8, b 192.0.2.9"},
		{"one address each before a second", []Exchanger{dual, host("b", 20, "192.0.2.9", "192.0.2.8")}, 3, "a 2001:db8::1, a 192.0.2.1, b 192.0.2.9"},
		{"the last keeps its place", slices.Concat(many(9, 10, 1), many(1, 20, 1)), 1, "p20h0 192.20.0.0"},
		{"no limit", many(1, 10, 12), 0, "p10h0 192.10.0.0, p10h0 192.10.0.1, p10h0 192.10.0.2, p10h0 192.10.0.3, p10h0 192.10.0.4, p10h0 192.10.0.5, " +
			"p10h0 192.10.0.6, p10h0 192.10.0.7, p10h0 192.10.0.8, p10h0 192.10.0.9, p10h0 192.10.0.10, p10h0 192.10.0.11"},
		{"no hosts", nil, 8, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := strings.Join(tried(test.hosts, Shuffle{Seed: 1, Attempt: 1, Limit: test.limit}), ", ")
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestOrderNamesEveryAddressOnce: over many lists, limits and attempts each address has one place, preferences ascend, hosts stay together, the limit
// holds, and the least preferred host is in it.
func TestOrderNamesEveryAddressOnce(t *testing.T) {
	for limit := range 12 {
		for attempt := range 6 {
			hosts := slices.Concat(many(limit%5, 10, 3), many(3, 20, 1+limit%3), many(1+attempt, 30, 2))
			hosts[0].Addresses[0].Skipped = "loopback"
			hosts = append(hosts, Exchanger{Host: "bare", Preference: 15, Skipped: reasonNone})
			places := Shuffle{Seed: uint64(attempt), Attempt: attempt, Limit: limit}.Order(hosts)
			if problem := wrong(hosts, places, limit); problem != "" {
				t.Fatalf("limit %d, attempt %d: %s: %v", limit, attempt, problem, places)
			}
		}
	}
}

// wrong says what is wrong with places; empty: nothing. One address of hosts is refused, and one host has none.
func wrong(hosts []Exchanger, places []Place, limit int) string {
	chosen, last := 0, -1
	for _, p := range places {
		if p.Skipped == "" {
			chosen++
			last = hosts[p.Host].Preference
		}
	}
	total := 0
	for i, e := range hosts {
		for _, a := range e.Addresses {
			total++
			if !slices.ContainsFunc(places, func(p Place) bool { return p.Host == i && p.Address == a.IP }) {
				return e.Host + " " + a.IP.String() + " is missing"
			}
		}
	}
	if limit == 0 || limit > total-1 {
		limit = total - 1
	}
	switch {
	case len(places) != total+1:
		return "an address has two places"
	case chosen != limit:
		return fmt.Sprintf("%d addresses are tried", chosen)
	case last != 30:
		return "the least preferred host is not tried"
	}
	return wrongOrder(hosts, places)
}

func wrongOrder(hosts []Exchanger, places []Place) string {
	for i := 1; i < len(places); i++ {
		before, p := places[i-1], places[i]
		if hosts[before.Host].Preference > hosts[p.Host].Preference {
			return "a lower rank stands before a higher one"
		}
		if before.Host != p.Host && slices.ContainsFunc(places[:i], func(o Place) bool { return o.Host == p.Host }) {
			return "a host stands in two places"
		}
	}
	return ""
}

// TestLeftOutComesFirst: what the limit leaves out in one attempt is at the front of its equals in the next, until all had their turn.
func TestLeftOutComesFirst(t *testing.T) {
	tests := []struct {
		name            string
		hosts           []Exchanger
		limit, attempts int // after so many attempts every address was tried
	}{
		{"hosts of one preference", many(20, 10, 1), 8, 3},
		{"addresses of one host", many(1, 10, 20), 8, 3},
		{"addresses of several hosts", many(5, 10, 2), 8, 2},
		{"hosts and addresses", many(10, 10, 2), 8, 3},
		{"beside a backup", slices.Concat(many(14, 10, 1), many(1, 20, 1)), 8, 2},
		{"addresses of the backup", slices.Concat(many(7, 10, 1), many(1, 20, 3)), 8, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			seen := make(map[string]bool)
			for attempt := 1; attempt <= test.attempts; attempt++ {
				for _, place := range tried(test.hosts, Shuffle{Seed: 5, Attempt: attempt, Limit: test.limit}) {
					seen[place] = true
				}
			}
			total := 0
			for _, e := range test.hosts {
				total += len(e.Addresses)
			}
			if len(seen) != total {
				t.Errorf("%d of %d addresses were tried", len(seen), total)
			}
		})
	}
}

func TestLeftOutSaysSo(t *testing.T) {
	places := Shuffle{Seed: 1, Attempt: 1, Limit: 2}.Order(many(1, 10, 3))
	if got := places[2].Skipped; got != "left out by the limit of 2 addresses" {
		t.Errorf("got %q", got)
	}
}

func TestSameSeedSameOrder(t *testing.T) {
	hosts := many(6, 10, 2)
	s := Shuffle{Seed: 42, Attempt: 3, Limit: 8}
	if !slices.Equal(s.Order(hosts), s.Order(hosts)) {
		t.Error("two orders from one seed")
	}
}

// TestShuffleIsEven: over 1000 runs with the seeds 0 to 999, each of four hosts of one preference comes first, second, third and last equally often, and
// so do the 24 orders as a whole. Chi-square, alpha 0.001: 16.27 for 3 degrees of freedom, 49.73 for 23. The seeds are fixed, so that the test
// cannot fail by chance.
func TestShuffleIsEven(t *testing.T) {
	hosts := slices.Concat(many(4, 10, 1), many(1, 20, 1))
	for _, attempt := range []int{1, 2, 7} {
		place := make([]map[int]int, 4)
		for i := range place {
			place[i] = make(map[int]int)
		}
		orders := make(map[string]int)
		for seed := range uint64(1000) {
			places := Shuffle{Seed: seed, Attempt: attempt, Limit: 8}.Order(hosts)
			order := ""
			for i, p := range places[:4] {
				place[i][p.Host]++
				order += hosts[p.Host].Host
			}
			orders[order]++
			if places[4].Host != 4 {
				t.Fatalf("seed %d: the backup stands before an exchanger of a lower preference", seed)
			}
		}
		for i, counts := range place {
			if x := chiSquare(counts, 4); x > 16.27 {
				t.Errorf("attempt %d: place %d is uneven: %v, chi-square %.2f", attempt, i, counts, x)
			}
		}
		if x := chiSquare(orders, 24); x > 49.73 {
			t.Errorf("attempt %d: the orders are uneven: %v, chi-square %.2f", attempt, orders, x)
		}
	}
}

// chiSquare is Pearson's statistic of 1000 runs against n equally likely outcomes.
func chiSquare[K comparable](counts map[K]int, n int) float64 {
	expected := 1000 / float64(n)
	sum := expected * float64(n-len(counts)) // outcomes that never came
	for _, c := range counts {
		d := float64(c) - expected
		sum += d * d / expected
	}
	return sum
}
