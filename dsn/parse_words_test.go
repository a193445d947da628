package dsn

import (
	"errors"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sternpost/mail"
)

// worded is what the words of a report say of one recipient.
type worded struct {
	address string
	action  Action
	status  mail.Status
	code    int
	remote  string
	reason  string // a part of it
}

// The reports in testdata/words are written after the formats of those whose names they bear.
func TestParseWords(t *testing.T) {
	tests := map[string]struct {
		host        string
		original    string // its Message-ID
		headersOnly bool
		want        []worded
	}{
		"qmail": {"mx.example.com", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{5, 1, 1}, 550, "192.0.2.1", "does not like recipient"},
			{"eve@example.net", Failed, mail.Status{5, 1, 2}, 0, "", "couldn't find any host named example.net"},
			{"list@example.org", Failed, mail.Status{5, 7, 1}, 554, "192.0.2.7", "failed after I sent the message"},
		}},
		"qmail-given-up": {"mx.example.com", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{4, 4, 1}, 0, "", "in the queue too long"},
		}},
		"exim": {"mx.example.com", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{5, 1, 1}, 550, "mx1.example.org", "after RCPT TO"},
			{"eve@example.net", Failed, mail.Status{}, 0, "", "Unrouteable address"},
			{"info@example.org", Failed, mail.Status{5, 2, 2}, 552, "mx1.example.org", "generated from alias@example.com"},
		}},
		"exim-delayed": {"mx.example.com", "", false, []worded{
			{"bob@example.org", Delayed, mail.Status{}, 451, "mx1.example.org", "greylisted"},
		}},
		"exim-header": {"mx.example.com", "", false, []worded{
			{"bob@example.org", Failed, mail.Status{}, 0, "", "Die Nachricht"},
		}},
		"sendmail": {"mx.example.com", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{5, 1, 1}, 550, "mx1.example.org", "expanded from"},
			{"eve@example.org", Failed, mail.Status{5, 2, 2}, 552, "mx1.example.org", "while talking to"},
		}},
		"sendmail-old": {"example.com", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{}, 550, "mx1.example.org", "User unknown"},
		}},
		"sendmail-warning": {"mx.example.com", "<lunch@example.com>", true, []worded{
			{"bob@example.org", Delayed, mail.Status{}, 0, "mx1.example.org", "Deferred: Connection timed out"},
		}},
		"exchange": {"mail.example.com", "<lunch@example.com>", true, []worded{
			{"bob@example.org", Failed, mail.Status{5, 1, 1}, 550, "", "RESOLVER.ADR.RecipNotFound"},
			{"eve@example.org", Failed, mail.Status{5, 7, 1}, 554, "mx1.example.org", "Remote Server returned"},
		}},
		"exchange-old": {"example.com", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{}, 0, "", "The recipient name is not recognized"},
			{"eve@example.org", Failed, mail.Status{5, 1, 1}, 550, "mx1.example.org", "communication problem"},
		}},
		"postfix": {"mx.example.com", "", false, []worded{
			{"bob@example.org", Failed, mail.Status{5, 1, 1}, 550, "mx1.example.org", "in reply to RCPT TO command"},
			{"eve@example.net", Failed, mail.Status{}, 0, "", "Host not found"},
		}},
		"opensmtpd": {"mx.example.com", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{5, 1, 1}, 550, "", "User unknown"},
		}},
		"gmail": {"googlemail.example", "<lunch@example.com>", false, []worded{
			{"bob@example.org", Failed, mail.Status{5, 1, 1}, 550, "mx1.example.org", "Technical details"},
		}},
		"gmail-delayed": {"googlemail.example", "", false, []worded{
			{"bob@example.org", Delayed, mail.Status{}, 0, "", "will be retried"},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "words", name+".eml"))
			if err != nil {
				t.Fatal(err)
			}
			for _, ends := range []string{"\n", "\r\n"} {
				got, err := Parse(strings.NewReader(strings.ReplaceAll(string(text), "\n", ends)))
				if err != nil {
					t.Fatal(err)
				}
				if got.ReportingMTA != test.host || returned(t, got) != test.original || got.HeadersOnly != test.headersOnly || got.To.String() != "ann@example.com" {
					t.Errorf("from %q to %q about %q, headers only %t", got.ReportingMTA, got.To, returned(t, got), got.HeadersOnly)
				}
				checkWorded(t, got.Recipients, test.want)
			}
		})
	}
	files, err := filepath.Glob("testdata/words/*.eml")
	if err != nil || len(files) != len(tests) {
		t.Errorf("%d files, %d tests, %v", len(files), len(tests), err)
	}
}

func checkWorded(t *testing.T, got []Recipient, want []worded) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d recipients, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		r := got[i]
		if r.Final.String() != w.address || r.Action != w.action || r.Status != w.status || r.Diagnostic.Code != w.code || r.RemoteMTA != w.remote || !strings.Contains(r.Reason, w.reason) {
			t.Errorf("got %+v\nwant %+v", r, w)
		}
	}
}

// returned is the Message-ID of what a report returns.
func returned(t *testing.T, r Report) string {
	t.Helper()
	if r.Original == nil {
		return ""
	}
	source, err := r.Original()
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	message, err := netmail.ReadMessage(source)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, message.Body); err != nil {
		t.Fatal(err)
	}
	return message.Header.Get("Message-ID")
}

// A person who quotes a report, or writes about one, has not written one.
func TestParseWordsRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"quoted":        "> Hi. This is the qmail-send program at mx.example.com.\n>\n> <bob@example.org>:\n> no\n",
		"no recipient":  "Hi. This is the qmail-send program at mx.example.com.\n\nSorry.\n",
		"only the mark": "----- Transcript of session follows -----",
		"a letter":      "Delivery to the following recipients is what I ask of you.",
	} {
		if got, err := Parse(strings.NewReader("From: ann@example.com\n\n" + text)); !errors.Is(err, ErrNotReport) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// No report takes long, whatever a stranger makes of it: what is read of it is bounded, and what is kept.
func TestParseWordsOfHostile(t *testing.T) {
	const begin = "From: a@example.com\n\n"
	for name, text := range map[string]string{
		"exim":     "created automatically by mail delivery software\n\n" + strings.Repeat("  a@b.c\n    x\n", 300_000),
		"one":      "created automatically by mail delivery software\n\n  a@b.c\n" + strings.Repeat("    x\n", 600_000),
		"sendmail": "----- The following addresses had fatal errors -----\n" + strings.Repeat("a@b.c\n", 4000) + "----- Transcript of session follows -----\n" + strings.Repeat("550 a@b.c... x\n", 200_000),
		"gmail":    "Delivery to the following recipient failed\n\n" + strings.Repeat("a@b.c\n", 4000) + "\n\n" + strings.Repeat("was: 550 x\n", 300_000),
		"qmail":    "Hi. This is the \n\n" + strings.Repeat("<a@b.c>:\n550 x\n\n", 200_000),
	} {
		got, err := Parse(strings.NewReader(begin + text))
		if err != nil || len(got.Recipients) == 0 || len(got.Recipients) > maxWords/4 {
			t.Errorf("%s: %d recipients, %v", name, len(got.Recipients), err)
		}
		kept := 0
		for _, r := range got.Recipients {
			kept += len(r.Reason)
		}
		if kept > len(got.Recipients)*2*maxReason {
			t.Errorf("%s: %d octets of reasons", name, kept)
		}
	}
}

// The words count where a report promises a status and has none.
func TestParseWordsOfReport(t *testing.T) {
	const text = "From: MAILER-DAEMON@mx.example.com\nTo: ann@example.com\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\n" +
		"Hi. This is the qmail-send program at mx.example.com.\n\n<bob@example.org>:\nSorry, no mailbox here by that na=\nme. (#5.1.1)\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <lunch@example.com>\n\nx\n--b--\n"
	got, err := Parse(strings.NewReader(text))
	if err != nil || returned(t, got) != "<lunch@example.com>" {
		t.Fatalf("%+v, %v", got, err)
	}
	checkWorded(t, got.Recipients, []worded{{"bob@example.org", Failed, mail.Status{5, 1, 1}, 0, "", "no mailbox here by that name"}})
	if !slices.Equal(got.Recipients[0].Diagnostic.Lines, nil) {
		t.Errorf("%+v", got.Recipients[0].Diagnostic)
	}
}

// What a status leaves out is taken from the words, as those of OpenSMTPD want it.
func TestParseCompletes(t *testing.T) {
	const text = "From: MAILER-DAEMON@mx.example.com\nTo: ann@example.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n" +
		"bob@example.org: 550 5.1.1 no such user\neve@example.org: 552 5.2.2 full\n\n    Below is a copy of the original message:\n\n--b\nContent-Type: message/delivery-status\n\n" +
		"Reporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.0.0\n\n" +
		"Final-Recipient: rfc822; eve@example.org\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 full of stars\n--b--\n"
	got, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	checkWorded(t, got.Recipients, []worded{{"bob@example.org", Failed, mail.Status{5, 0, 0}, 550, "", "no such user"}, {"eve@example.org", Failed, mail.Status{5, 2, 2}, 552, "", ""}})
	if said := got.Recipients[1].Diagnostic.Lines; !slices.Equal(said, []string{"552 5.2.2 full of stars"}) {
		t.Errorf("%q", said)
	}
}
