//go:build interop

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sternpost/dsn"
)

// causes are what the programs call the cause of each kind of failure of dsn/testdata/kinds, in Sisimai's words and in those of BounceParser, which knows
// fewer. Where they do not know it they say "onhold" and "unknown".
func causes() map[string][2]string {
	return map[string][2]string{
		"unknown-user": {"userunknown", "user_unknown"}, "host-unknown": {"hostunknown", "domain_error"}, "null-mx": {"notaccept", "unknown"},
		"exchangers-without-address": {"hostunknown", "domain_error"}, "mailbox-full": {"mailboxfull", "over_quota"}, "too-large": {"mesgtoobig", "over_quota"},
		"too-large-for-all": {"mesgtoobig", "unknown"}, "spam": {"spamdetected", "spam"}, "blocklist": {"blocked", "spam"}, "authentication": {"securityerror", "unknown"},
		"relay-denied": {"norelaying", "domain_error"}, "disabled": {"suspend", "user_disabled"}, "moved": {"hasmoved", "unknown"},
		"expired-greylisted": {"blocked", "unknown"}, "expired-unreached": {"expired", "domain_error"}, "expired-dns": {"onhold", "unknown"}, "loop": {"onhold", "unknown"},
		"in-doubt": {"networkerror", "unknown"}, "tls-required": {"securityerror", "unknown"}, "by-operator": {"onhold", "unknown"},
	}
}

// TestBouncesAreReadAlike has our reports read by three programs: recipient, action and status are ours, and the cause is the one that belongs to the kind. None of the
// three knows message/global-delivery-status (RFC 6533), so the report about an address in UTF-8 is left out.
func TestBouncesAreReadAlike(t *testing.T) {
	files, err := filepath.Glob("../../dsn/testdata/kinds/*.eml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d reports, %v", len(files), err)
	}
	read := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".eml")
		if name == "no-smtputf8" {
			continue
		}
		want, known := causes()[strings.TrimPrefix(name, "german-")]
		if !known {
			t.Errorf("%s: nobody knows its cause", name)
			continue
		}
		read++
		t.Run(name, func(t *testing.T) { readAlike(t, file, want) })
	}
	t.Logf("%d reports are read alike by us and three others", read)
}

func readAlike(t *testing.T, file string, cause [2]string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ours, err := dsn.Parse(f)
	if err != nil || len(ours.Recipients) != 1 {
		t.Fatalf("%+v, %v", ours, err)
	}
	r := ours.Recipients[0]
	about := strings.Join([]string{string(r.Action), r.Status.String(), r.Final.String()}, "|")
	want := []string{
		"sisimai|" + about + "|" + cause[0], "bounceparser|" + about + "|" + cause[1], "flufl|" + string(r.Action) + "||" + r.Final.String() + "|",
	}
	var got []string
	for _, command := range [][]string{{"/usr/bin/perl", "testdata/bounces.pl", file}, {"/usr/bin/python3", "testdata/bounces.py", file}} {
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		got = append(got, strings.Fields(string(out))...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
