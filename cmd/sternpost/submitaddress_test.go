package main

import (
	"slices"
	"strings"
	"testing"
)

func TestRecipientsAreReadInEveryForm(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a@example.test", "a@example.test"},
		{"root", "root"},
		{" <a@example.test> ", "a@example.test"},
		{"Ann Example <a@example.test>", "a@example.test"},
		{`"Example, Ann" <a@example.test>, b@example.test`, "a@example.test b@example.test"},
		{`"Ann <x@example.test>" <a@example.test>`, "a@example.test"},
		{"a@example.test (Ann (of the \\) house), b@example.test)", "a@example.test"},
		{"(first) a@example.test", "a@example.test"},
		{"a@example.test,,b@example.test,", "a@example.test b@example.test"},
		{"a@example.test; b@example.test", "a@example.test b@example.test"},
		{"Friends: a@example.test, B <b@example.test>;, c@example.test", "a@example.test b@example.test c@example.test"},
		{"undisclosed-recipients:;", ""},
		{"", ""},
		{"a@example.test, A <A@example.test>, a@EXAMPLE.test", "a@example.test A@example.test"},
		{"<@relay.test,@other.test:a@example.test>", "a@example.test"},
		{`"a, b"@example.test`, `"a, b"@example.test`},
		{`"a@b"`, `"a@b"`},
		{`<"a> NOTIFY=NEVER"@example.test>`, `"a> NOTIFY=NEVER"@example.test`},
		{"a@[127.0.0.1], b@[IPv6:::1]", "a@[127.0.0.1] b@[IPv6:::1]"},
		{"ann@bücher.test", "ann@xn--bcher-kva.test"},
		{"Jörg <jörg@example.test>", "jörg@example.test"},
		{"-f", "-f"},
	} {
		t.Run(c.text, func(t *testing.T) {
			list, err := parseRecipients([]string{c.text})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range list {
				got = append(got, m.text)
				if m.utf8 != strings.Contains(m.text, "ö") {
					t.Errorf("%s: utf8 is %t", m.text, m.utf8)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsNoRecipientIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"<>":                                "null reverse-path",
		"Ann Example":                       `"Ann Example"`,
		"a@example.test b@example.test":     "domain",
		"Ann <a@example.test":               `no '>'`,
		"a@example.test (Ann":               `no ')'`,
		`"Ann <a@example.test>`:             `no '"'`,
		"<a@example.test> <b@example.test>": "without a comma",
		"a@example.test\r\nRCPT TO:<b@c>":   "control character",
		"a\x00b":                            "control character",
		"a@exa\xffmple.test":                "UTF-8",
		"@":                                 "local-part",
	} {
		if list, err := parseRecipients([]string{text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, list, err, want)
		}
	}
}

func TestEveryWrongRecipientIsTold(t *testing.T) {
	_, err := parseRecipients([]string{"a@example.test, b@@c", "d e"})
	if err == nil || len(slices.Collect(lines(err.Error()))) != 2 {
		t.Errorf("got %v", err)
	}
}

func TestAddressesWithoutADomainGetOne(t *testing.T) {
	for text, want := range map[string]string{
		" root\r\n":                             " root@x.test\r\n",
		" root (Cron Daemon)\r\n":               " root@x.test (Cron Daemon)\r\n",
		" Cron Daemon <root>\r\n":               " Cron Daemon <root@x.test>\r\n",
		" <root >, a@b.test,\r\n\tann\r\n":      " <root@x.test >, a@b.test,\r\n\tann@x.test\r\n",
		" \"a b\", \"c@d\"":                     " \"a b\"@x.test, \"c@d\"@x.test",
		" friends: ann, Bob <bob>;":             " friends: ann@x.test, Bob <bob@x.test>;",
		" a@b.test, \"root\" <c@d.test>, <e@f>": " a@b.test, \"root\" <c@d.test>, <e@f>",
		" undisclosed-recipients:;":             " undisclosed-recipients:;",
		" Cron Daemon":                          " Cron Daemon",
		" <>":                                   " <>",
		" root, <ann":                           " root, <ann",
		" \u00fcbel":                            " \u00fcbel@x.test",
		" a@[127.0.0.1], (x) root (y) (z)":      " a@[127.0.0.1], (x) root@x.test (y) (z)",
	} {
		if got := completeAddresses(text, "x.test"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSenders(t *testing.T) {
	for _, c := range []struct {
		text, want string
		wrong      bool
	}{
		{"", "", false},
		{"<>", "", false},
		{"root", "root", false},
		{"Cron Daemon <root@example.test>", "root@example.test", false},
		{"a@example.test, b@example.test", "", true},
		{"a b", "", true},
	} {
		got, err := parseSender(c.text)
		if got.text != c.want || (err != nil) != c.wrong {
			t.Errorf("%q: got %q, %v", c.text, got.text, err)
		}
	}
}

func FuzzAddressesAreCleanOrRefused(f *testing.F) {
	f.Add(`"Example, Ann" <a@example.test>, Friends: b (c), root;`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseRecipients([]string{text})
		if err != nil {
			return
		}
		for _, m := range list {
			if m.text == "" || strings.ContainsAny(m.text, "\r\n\x00") {
				t.Errorf("%q gives %q", text, m.text)
			}
			again, err := parseMailbox(m.text)
			if err != nil || again != m {
				t.Errorf("%q is not itself again: %v, %v", m.text, again, err)
			}
		}
	})
}
