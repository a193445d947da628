package main

import (
	"strings"
	"testing"
	"time"
)

func headerOf(l *letter) string {
	header := ""
	for _, f := range l.header {
		header += f.text
	}
	return strings.ReplaceAll(header, "\r\n", "\n")
}

func addressesOf(l *letter) string {
	var list []string
	for _, m := range l.to {
		list = append(list, m.text)
	}
	return strings.Join(list, " ")
}

func TestWhoIsWrittenTo(t *testing.T) {
	for name, c := range map[string]struct {
		arguments []string
		header    string
		want      string
	}{
		"To, Cc and Bcc": {nil, "To: a@x.test\nCc: b@x.test,\n C <c@x.test>\nbcc: d@x.test\n", "a@x.test b@x.test c@x.test d@x.test"},
		"arguments too":  {[]string{"z@x.test", "a@x.test"}, "To: a@x.test, b@x.test\n", "z@x.test a@x.test b@x.test"},
		"two To":         {nil, "To: a@x.test\nTo: b@x.test\n", "a@x.test b@x.test"},
		"Resent":         {nil, "To: a@x.test\nResent-From: q@x.test\nResent-To: b@x.test\nResent-Bcc: c@x.test\n", "b@x.test c@x.test"},
		"no domain":      {nil, "To: root\n", "root"},
		"group":          {nil, "To: friends: a@x.test;\nBcc: b@x.test\n", "a@x.test b@x.test"},
	} {
		l := letterOf(t, wanted{sender: pointer(""), recipients: c.arguments, fromHeader: true}, c.header+"\nx\n")
		if got := addressesOf(l); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if strings.Contains(strings.ToLower(headerOf(l)), "bcc") {
			t.Errorf("%s: the header tells the blind copies: %s", name, headerOf(l))
		}
	}
}

func TestLettersThatAreRefused(t *testing.T) {
	for message, want := range map[string]string{
		"Subject: x\n\nTo: a@x.test\n":                  "no recipient",
		"To: undisclosed-recipients:;\n\nx":             "no recipient",
		"":                                              "no recipient",
		"To: a@x.test\nResent-Date: today\n\nx":         "no recipient",
		"To: Ann Example\n\nx":                          "Ann Example",
		"To: a@x.test\nCc: b@x.test <c@x.test\n\nx":     `no '>'`,
		"To: a@x.test\nX: y\rBcc: spy@example.test\n\n": "line 2",
	} {
		_, err := wanted{fromHeader: true}.read(newText(strings.NewReader(message), false))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", message, err, want)
		}
	}
}

func TestFromIsAdded(t *testing.T) {
	me, _ := localUser()
	for name, c := range map[string]struct {
		w      wanted
		header string
		want   string
	}{
		"there is one":    {wanted{sender: pointer("a@x.test"), fullName: "Ann"}, "from: b@x.test\n", "from: b@x.test\n"},
		"sender":          {wanted{sender: pointer("a@x.test")}, "", "From: a@x.test\n"},
		"full name":       {wanted{sender: pointer("a@x.test"), fullName: "Ann Example"}, "X: y\n", "From: \"Ann Example\" <a@x.test>\nX: y\n"},
		"name in quotes":  {wanted{sender: pointer("a@x.test"), fullName: `A "B" <c@x.test>`}, "", `From: "A \"B\" <c@x.test>" <a@x.test>` + "\n"},
		"name in UTF-8":   {wanted{sender: pointer("a@x.test"), fullName: "J\u00f6rg"}, "", "From: =?utf-8?q?J=C3=B6rg?= <a@x.test>\n"},
		"quoted address":  {wanted{sender: pointer(`"a b"@x.test`), fullName: "Ann"}, "", `From: "Ann" <"a b"@x.test>` + "\n"},
		"null sender":     {wanted{sender: pointer(""), fullName: "Ann"}, "", "From: \"Ann\" <" + me + ">\n"},
		"who calls":       {wanted{fullName: "Ann"}, "", "From: \"Ann\" <" + me + ">\n"},
		"idempotency key": {wanted{sender: pointer("a@x.test"), key: "k1"}, "Idempotency-key: k2\nFrom: b\n", "Idempotency-Key: k1\nFrom: b\n"},
	} {
		c.w.recipients = []string{"you@x.test"}
		if got := headerOf(letterOf(t, c.w, c.header+"\nx\n")); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestTheSender(t *testing.T) {
	me, _ := localUser()
	for name, c := range map[string]struct {
		w      wanted
		header string
		want   string
	}{
		"named":                  {wanted{sender: pointer("Ann <a@x.test>"), senderFrom: true}, "From: b@x.test\n", "a@x.test"},
		"null":                   {wanted{sender: pointer("<>"), senderFrom: true}, "From: b@x.test\n", ""},
		"sendmail: who calls":    {wanted{}, "From: b@x.test\n", me},
		"submit: From":           {wanted{senderFrom: true}, "From: Bob <b@x.test>\n", "b@x.test"},
		"submit: no From":        {wanted{senderFrom: true}, "", me},
		"submit: two authors":    {wanted{senderFrom: true}, "From: b@x.test, c@x.test\n", me},
		"submit: From is broken": {wanted{senderFrom: true}, "From: Bob Example\n", me},
	} {
		c.w.recipients = []string{"you@x.test"}
		if got := letterOf(t, c.w, c.header+"\nx\n").from.text; got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestSendTimes(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"90m":                       now.Add(90 * time.Minute),
		"2026-11-25T14:00:00+01:00": now.Add(time.Hour),
	} {
		if got, err := sendTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"tomorrow": "neither", "-1h": "past", "2026-11-25T12:00:00+01:00": "past", "0s": "past"} {
		if got, err := sendTime(text, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
}
