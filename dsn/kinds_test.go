package dsn

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

// kind is one kind of failure, as the queue tells of it.
type kind struct {
	name   string
	status mail.Status
	reply  string // one line; empty: nobody said anything
	reason string
	change func(*Report)
}

// kinds are 20 ways in which mail fails, and one with an address in UTF-8. `make interop` has their reports read by other programs.
func kinds() []kind {
	const over = "the lifetime of the message ended; the last attempt: "
	return []kind{
		{"unknown-user", mail.Status{5, 1, 1}, "550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown in virtual mailbox table", "refused at rcpt", nil},
		{"host-unknown", mail.Status{5, 1, 2}, "", "host unknown: example.org does not exist (NXDOMAIN)", nil},
		{"null-mx", mail.Status{5, 1, 10}, "", "example.org takes no mail (null MX)", nil},
		{"exchangers-without-address", mail.Status{5, 4, 4}, "", "host unknown: no exchanger of example.org has an address", nil},
		{"mailbox-full", mail.Status{5, 2, 2}, "552 5.2.2 Mailbox full, over quota", "refused at rcpt", nil},
		{"too-large", mail.Status{5, 3, 4}, "552 5.3.4 Message size exceeds fixed limit", "refused at dot", nil},
		{"too-large-for-all", mail.Status{5, 3, 4}, "", "no host takes a message of 30000000 octets", nil},
		{"spam", mail.Status{5, 7, 1}, "554 5.7.1 Message rejected as spam by content filter", "refused at dot", because(CauseSpam)},
		{"blocklist", mail.Status{5, 7, 1}, "554 5.7.1 Service unavailable; Client host [192.0.2.25] blocked using zen.example.net", "refused at rcpt", because(CauseReputation)},
		{"authentication", mail.Status{5, 7, 26}, "550 5.7.26 This message does not pass authentication checks (SPF and DKIM)", "refused at dot", because(CauseReputation)},
		{"relay-denied", mail.Status{5, 7, 1}, "554 5.7.1 <bob@example.org>: Relay access denied", "refused at rcpt", because(CauseRoute)},
		{"disabled", mail.Status{5, 2, 1}, "550 5.2.1 The email account that you tried to reach is disabled", "refused at rcpt", nil},
		{"moved", mail.Status{5, 1, 6}, "551 5.1.6 User has moved; please try <robert@example.net>", "refused at rcpt", nil},
		{"expired-greylisted", mail.Status{4, 7, 1}, "451 4.7.1 Greylisting in action, please come back later", over + "refused for now at rcpt", func(r *Report) {
			r.Recipients[0].Tried, r.Recipients[0].Cause = tried()[:1], CauseWait
		}},
		{"expired-unreached", mail.Status{4, 4, 1}, "", "host unknown: no host took a connection until the lifetime of the message ended; the last attempt: connection refused", func(r *Report) {
			r.Recipients[0].RemoteMTA, r.Recipients[0].Tried, r.Recipients[0].NotListed = "", tried(), 2
		}},
		{"loop", mail.Status{5, 4, 6}, "", "we are the best exchanger of example.org ourselves", nil},
		{"no-smtputf8", mail.Status{5, 6, 7}, "", "the address needs SMTPUTF8, and no host offers it", func(r *Report) {
			r.Recipients[0].Final = mail.Address{Local: "bøb", Domain: "example.org"}
			r.Recipients[0].OriginalType, r.Recipients[0].Original = "", ""
		}},
		{"in-doubt", mail.Status{4, 4, 2}, "", over + "the content was sent and no reply came (connection lost: the remote closed the connection): it may have been delivered", func(r *Report) { r.Recipients[0].InDoubt = true }},
		{"expired-dns", mail.Status{4, 4, 3}, "", over + "the name servers of example.org do not answer", nil},
		{"tls-required", mail.Status{4, 7, 5}, "", over + "the certificate of the host is not that of its name", nil},
		{"by-operator", mail.Status{5, 0, 0}, "450 4.2.0 try again", "returned to the sender by the operator", nil},
	}
}

// because is what the queue knows of a cause by more than the status.
func because(c Cause) func(*Report) { return func(r *Report) { r.Recipients[0].Cause = c } }

func tried() []Host {
	return []Host{
		{"mx1.example.org", "192.0.2.1", 41, noon().Add(-time.Hour), "connection refused"},
		{"mx2.example.org", "2001:db8::1", 1, noon().Add(-2 * time.Hour), "no reply within 15s"},
		{"mx3.example.org", "127.0.0.1", 0, noon().Add(-time.Hour), "an address of the machine itself"},
	}
}

func (k kind) report(t *testing.T) Report {
	r := failure(t)
	one := &r.Recipients[0]
	one.Status, one.Reason, one.Diagnostic = k.status, k.reason, mail.Reply{}
	if k.reply != "" {
		one.Diagnostic = mail.Reply{Lines: []string{k.reply}}
		if _, err := fmt.Sscan(k.reply, &one.Diagnostic.Code); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(k.reason, "refused") {
			one.Reason += ": " + k.reply
		}
	} else if k.name != "in-doubt" && k.name != "tls-required" {
		one.RemoteMTA = ""
	}
	one.Expired = strings.Contains(k.reason, "the lifetime of the message ended")
	if k.change != nil {
		k.change(&r)
	}
	return r
}

func TestGoldenKinds(t *testing.T) {
	texts := map[string]*Text{"": builtin(English), "german-": builtin(German)}
	for _, k := range kinds() {
		for language, text := range texts {
			if language != "" && k.name != "expired-unreached" && k.name != "in-doubt" {
				continue
			}
			r := k.report(t)
			r.Text = text
			got := write(t, r)
			checkShape(t, got)
			got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
			file := filepath.Join("testdata", "kinds", language+k.name+".eml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; go test ./dsn -update writes it anew. Got:\n%s", file, got)
			}
		}
	}
	if n := len(kinds()); n < 20 {
		t.Errorf("%d kinds", n)
	}
}
