package delivery

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"sternpost/mail"
)

// commonZone holds the hosts that the zones of docs/failures.md may lead to.
const commonZone = `
good.test.  A 192.0.2.9
self.test.  A 192.0.2.100
us.test.    A 192.0.2.100
`

// readZone makes zone text of a cell: records in backquotes, and failing questions as "fail" with "NAME TYPE RCODE" in backquotes.
func readZone(cell string) string {
	zone := commonZone
	for i, part := range strings.Split(cell, "`") {
		switch {
		case i%2 == 0:
			continue
		case strings.HasSuffix(strings.TrimSpace(strings.Split(cell, "`")[i-1]), "fail"):
			zone += "; fault: " + part + "\n"
		default:
			zone += part + "\n"
		}
	}
	return zone
}

// readSettings are those that a cell of the document names behind "with".
func readSettings(cell string) func(*Config, *Deps) {
	return func(c *Config, _ *Deps) {
		c.BlockPrivate = strings.Contains(cell, "with block_private")
		if strings.Contains(cell, "with a smarthost that is us") {
			c.Routes = []Route{{Domains: []string{"*"}, Smarthosts: []Smarthost{{Host: "self.test", Port: 25}}}}
		}
	}
}

func TestDomainsFollowTheDocument(t *testing.T) {
	for _, row := range readTable(t, "2. A domain that leads nowhere") {
		domain, zone, verdict, status, says := row[0], row[1], row[2], row[3], row[4]
		t.Run(domain, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, readZone(zone), readSettings(zone))
				for _, ip := range []string{"192.0.2.9", "192.0.2.100", "10.1.2.3"} {
					w.serve(ip, "")
				}
				at := w.deliver(plain, "you@"+domain)
				o := at.Outcomes[0]
				got := string(o.Disposition)
				if o.Disposition == mail.Delivered {
					got = "tried"
				} else if o.Stage != mail.StageResolve || o.Scope != mail.ScopeDestination {
					t.Errorf("stage %s, scope %s", o.Stage, o.Scope)
				}
				if got != verdict || verdict != "tried" && o.Status.String() != status {
					t.Errorf("%s %s, the document says %s %s\n%s", got, o.Status, verdict, status, o.Reason)
				}
				if !strings.Contains(o.Reason, says) {
					t.Errorf("says %q, the document wants %q in it", o.Reason, says)
				}
			})
		})
	}
}

// zones are the domains that Postfix and Exim were asked to deliver to, in our own words.
func zones() map[string]string {
	long := ""
	for i := range 200 {
		long += fmt.Sprintf("d20.test. MX %d h%d.test.\nh%d.test. A 198.51.100.%d\n", i+1, i, i, i+1)
	}
	return map[string]string{
		"d1":  "",
		"d2":  "d2.test. TXT x",
		"d3":  "; fault: d3.test MX SERVFAIL",
		"d4":  "; fault: d4.test MX drop",
		"d5":  "d5.test. MX 0 .",
		"d6":  "d6.test. MX 10 nx.test.",
		"d7":  "d7.test. MX 10 sf.test.\n; fault: sf.test * SERVFAIL",
		"d8":  "d8.test. MX 10 nx.test.\nd8.test. MX 20 good.test.",
		"d9":  "d9.test. MX 10 sf.test.\nd9.test. MX 20 good.test.\n; fault: sf.test * SERVFAIL",
		"d10": "d10.test. A 192.0.2.9",
		"d11": "d11.test. A 192.0.2.9\n; fault: d11.test MX SERVFAIL",
		"d12": "d12.test. CNAME real.test.\nreal.test. MX 10 good.test.",
		"d13": "d13.test. CNAME d13b.test.\nd13b.test. CNAME d13.test.",
		"d14": "d14.test. MX 10 cn.test.\ncn.test. CNAME good.test.",
		"d15": "d15.test. MX 10 lo.test.\nlo.test. A 127.0.0.1",
		"d16": "d16.test. MX 10 zero.test.\nzero.test. A 0.0.0.0",
		"d17": "d17.test. MX 10 self.test.",
		"d18": "d18.test. MX 10 self.test.\nd18.test. MX 20 good.test.",
		"d19": "d19.test. MX 10 good.test.\nd19.test. MX 20 self.test.",
		"d20": long + "; fault: d20.test MX truncate",
		"d21": "d21.test. MX 10 good.test.\n; fault: d21.test MX truncate close-tcp",
		"d22": "d22.test. MX 10 192.0.2.250.",
		"d23": "d23.test. MX 0 .\nd23.test. MX 10 good.test.",
		"d24": "; fault: d24.test MX REFUSED",
		"d25": "d25.test. MX 10 six.test.\nd25.test. MX 20 good.test.\nsix.test. AAAA 2001:db8::6",
		"d26": "d26.test. MX 10 good.test.\n; fault: d26.test MX wrong-question",
		"d27": "d27.test. 0 MX 10 good.test.",
		"d28": "d28.test. MX 10 good.test.\n; fault: * * no-edns",
		"d29": "d29.test. MX 10 good.test.\nd29.test. MX 10 good.test.\nd29.test. MX 20 good.test.",
		"d30": "d30.test. MX 10 priv.test.\npriv.test. A 10.1.2.3\npriv.test. A 169.254.169.254",
	}
}

func TestOtherAgentsAgreeOnDomains(t *testing.T) {
	all := zones()
	for _, row := range readOracle(t, "dns.tsv", 30) {
		name, want := row[0], row[2]
		t.Run(name, func(t *testing.T) {
			zone, known := all[name]
			if !known {
				t.Fatalf("no zone for %s", name)
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, commonZone+zone+"\n")
				w.serve("192.0.2.9", "")
				w.serve("198.51.100.200", "") // h199 of d20
				w.net.Unreachable("2001:db8::6")
				w.net.Blackhole("10.1.2.3")
				o := w.deliver(plain, "you@"+name+".test").Outcomes[0]
				checkDomain(t, o, want)
			})
		})
	}
}

// checkDomain compares with "sent@HOST", "deferred [STATUS]" or "bounced STATUS [host unknown] [(why)]".
func checkDomain(t *testing.T, o mail.Outcome, want string) {
	t.Helper()
	want, _, _ = strings.Cut(want, " (")
	words := strings.Fields(want)
	host, sent := strings.CutPrefix(words[0], "sent@")
	address := "192.0.2.9" // all names but one lead there
	if host == "h199" {
		address = "198.51.100.200"
	}
	switch {
	case sent && (o.Disposition != mail.Delivered || o.IP.String() != address):
	case words[0] == "deferred" && o.Disposition != mail.Deferred:
	case words[0] == "bounced" && o.Disposition != mail.Failed:
	case !sent && len(words) > 1 && o.Status.String() != words[1]:
	case strings.Contains(want, "host unknown") && !strings.Contains(o.Reason, "host unknown"):
	default:
		return
	}
	t.Errorf("%s, want %s\n%s", summary(o), want, o.Reason)
}
