package lab

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

func TestExpectationsAreRead(t *testing.T) {
	you := mail.Address{Local: "you", Domain: "example.test"}
	for text, want := range map[string]Expectation{
		"you@example.test delivered by MX2.example.test at attempt 1; dsn none":  {Fate: Delivered, Host: "mx2.example.test", Attempts: 1, DSN: []string{"none"}, Copies: -1},
		`you@example.test failed 5.1.2 "Host; unknown", dsn failed`:              {Fate: Failed, Status: mail.Status{5, 1, 2}, Says: "Host; unknown", DSN: []string{"failed"}, Copies: -1},
		"you@example.test failed host unknown":                                   {Fate: Failed, Says: "host unknown", Copies: -1},
		"you@example.test  delivered in 2 attempts after 5m within 3h, copies 1": {Fate: Delivered, Attempts: 2, After: 5 * time.Minute, Within: 3 * time.Hour, Copies: 1},
		"you@example.test expired 4.4.1; dsn delayed and failed":                 {Fate: Expired, Status: mail.Status{4, 4, 1}, DSN: []string{"delayed", "failed"}, Copies: -1},
		"you@example.test expired dsn failed, delayed in doubt":                  {Fate: Expired, InDoubt: true, DSN: []string{"delayed", "failed"}, Copies: -1},
		"you@example.test deferred in doubt":                                     {Fate: Deferred, InDoubt: true, Copies: -1},
		"you@example.test not delivered copies 0":                                {Fate: NotDelivered, Copies: 0},
	} {
		got, err := ParseExpectation(text)
		want.Text, want.Recipient = strings.Join(strings.Fields(text), " "), you
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v, %v; want\n%+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                              "begins with the address",
		"delivered you@example.test":                    "begins with the address",
		"you@example.test":                              "is delivered, failed, expired",
		"you@example.test eaten":                        `not "eaten"`,
		"you@example.test delivered by":                 "by which host?",
		"you@example.test delivered at 1":               "at attempt N is meant",
		"you@example.test delivered in 1":               "in N attempts is meant",
		"you@example.test delivered in 0 attempts":      "not a number from 1 on",
		"you@example.test delivered copies -1":          "not a number from 0 on",
		"you@example.test delivered copies 0":           "what is delivered has a copy",
		"you@example.test delivered soon":               `"soon" is not understood`,
		"you@example.test delivered within soon":        "not a duration",
		"you@example.test delivered dsn":                "a dsn is none",
		"you@example.test delivered dsn none, failed":   "stands alone",
		"you@example.test delivered 5.1.1":              "begins with 2",
		"you@example.test delivered after 2h within 1h": "cannot be after 2h and within 1h",
		"you@example.test not delivered by mx.test":     "not delivered by a host",
		`you@example.test failed "`:                     "not closed",
	} {
		if _, err := ParseExpectation(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}

func FuzzParseExpectation(f *testing.F) {
	f.Add(`you@example.test delivered by mx2.example.test at attempt 1, after 5m within 3h; dsn none`)
	f.Add(`"a b"@example.test failed 5.1.2 "host; unknown" in doubt copies 2, dsn delayed and failed`)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExpectation(text)
		if err != nil {
			return
		}
		again, err := ParseExpectation(e.Text)
		if e.Text = again.Text; err != nil || again.Fate != e.Fate || again.Recipient != e.Recipient || again.Host != e.Host {
			t.Errorf("%q is not read the same again: %+v, %v", text, again, err)
		}
		new(Sight).Check(e, 0, nil)
	})
}

// seenWorld is what three hosts did with the mail to you@example.test: refused twice, lost one reply, took it after six minutes.
func seenWorld(reports bool) *Sight {
	s := &Sight{}
	if reports {
		s.Reports = func(content []byte) []Report {
			if string(content) == "x" {
				return nil
			}
			return []Report{{Recipient: "gone@example.test", Action: string(content), Status: mail.Status{5, 1, 2}, Text: "Host Unknown"}}
		}
	}
	refuse := func(to, reply string) {
		s.Add(Event{Kind: EventRecipient, Host: "mx1.test", Recipient: to, Reply: Reply{reply}})
	}
	refuse("you@example.test", "450 4.7.1 not yet")
	refuse("You@example.test", "450 4.7.1 not yet")
	refuse("bad@example.test", "550 5.1.1 no such user")
	refuse("later@example.test", "451 4.3.0 later")
	take := func(host, to, reply string, accepted bool, since time.Duration, content string) {
		s.Add(Event{Kind: EventMessage, Host: host, Since: since, Message: &Received{
			Recipients: List{to}, Subject: "hello", Reply: replyOf(reply), Accepted: accepted, Content: []byte(content),
		}})
	}
	take("mx2.test", "you@example.test", "", false, 5*time.Minute, "x")
	take("mx3.test", "you@EXAMPLE.test", "250 2.0.0 queued", true, 6*time.Minute, "x")
	if reports {
		take("mx.client.test", "app@client.test", "250 2.0.0 queued", true, time.Hour, "failed")
	}
	return s
}

func replyOf(line string) Reply {
	if line == "" {
		return nil
	}
	return Reply{line}
}

func TestCheckByWhatTheWorldSaw(t *testing.T) {
	for text, want := range map[string]string{ // what is seen, "" where it is met; "?" and what is unseen
		"you@example.test delivered":                                 "",
		"you@example.test delivered by mx3.test within 6m, after 6m": "",
		"you@example.test delivered in doubt, copies 2":              "",
		"you@example.test delivered by mx2.test":                     "not delivered; mx2.test got it after 5m and did not answer; delivered by mx3.test after 6m; mx1.test said 450 4.7.1 not yet (2 times)",
		"you@example.test delivered within 5m":                       "after 6m; ",
		"you@example.test delivered after 10m":                       "after 6m; ",
		"you@example.test delivered copies 1":                        "copies 2; ",
		"you@example.test not delivered":                             "it was taken; ",
		"you@example.test deferred":                                  "it was taken; ",
		"you@example.test delivered at attempt 2":                    "?how many attempts there were",
		"later@example.test deferred 4.3.0 \"LATER\"":                "",
		"later@example.test deferred 4.2.0":                          "no status 4.2.0; mx1.test said 451 4.3.0 later",
		"later@example.test delivered in doubt":                      "not delivered; nothing is in doubt; mx1.test said",
		"bad@example.test failed 5.1.1 \"no such\"":                  "",
		"bad@example.test failed 5.1.2 \"host\"":                     "no status 5.1.2; nothing says \"host\"; mx1.test said 550 5.1.1 no such user",
		"nobody@example.test not delivered copies 0":                 "",
		"nobody@example.test delivered":                              "not delivered; no host was asked to take it",
	} {
		checkOne(t, seenWorld(false), text, nil, want)
		if !strings.HasPrefix(want, "?") {
			checkOne(t, seenWorld(true), text, nil, want)
		}
	}
}

func TestCheckByReports(t *testing.T) {
	for text, want := range map[string]string{
		"gone@example.test failed 5.1.2 \"host unknown\"; dsn failed": "",
		"gone@example.test expired; dsn failed":                       "",
		"gone@example.test failed 5.1.1":                              "no status 5.1.1; no host was asked to take it; dsn failed",
		"gone@example.test failed; dsn delayed and failed":            "dsn failed; no host",
		"gone@example.test failed; dsn none":                          "dsn failed; no host",
		"you@example.test delivered dsn none":                         "",
		"nobody@example.test failed":                                  "no report that it failed has come; ",
		"bad@example.test expired":                                    "no report that it failed has come; ",
	} {
		checkOne(t, seenWorld(true), text, nil, want)
	}
	checkOne(t, seenWorld(false), "nobody@example.test failed; dsn failed", nil, "?that it is failed, what is reported to the sender")
	checkOne(t, seenWorld(false), "nobody@example.test expired 4.4.1", nil, "?that it is expired, the reason")
	checkOne(t, seenWorld(false), "nobody@example.test deferred", nil, "?that it is deferred")
}

func TestCheckByTheSender(t *testing.T) {
	delivered := &Fate{Disposition: mail.Delivered, Host: "mx3.test", Attempts: 3, Status: mail.Status{2, 0, 0}, Text: "queued", DSN: nil}
	failed := &Fate{Disposition: mail.Failed, Expired: true, Attempts: 40, Status: mail.Status{4, 4, 1}, Text: "host unknown", DSN: []string{"delayed", "failed"}}
	refused := &Fate{Disposition: mail.Failed, Attempts: 1, Status: mail.Status{5, 1, 1}, InDoubt: true}
	waiting := &Fate{Disposition: mail.Deferred, Attempts: 2}
	for _, c := range []struct {
		text string
		fate *Fate
		want string
	}{
		{"you@example.test delivered by mx3.test in 3 attempts; dsn none", delivered, ""},
		{"you@example.test delivered in 2 attempts", delivered, "attempts 3; "},
		{"you@example.test delivered; dsn delayed", delivered, "dsn none; "},
		{"you@example.test delivered", waiting, "the sender says deferred; "},
		{"you@example.test delivered by mx3.test", &Fate{Disposition: mail.Delivered, Host: "mx9.test"}, "the sender says by mx9.test; "},
		{"gone@example.test expired 4.4.1 host unknown; dsn delayed, failed", failed, ""},
		{"gone@example.test failed", failed, "the sender says that its time was over; "},
		{"gone@example.test expired", refused, "the sender says that it was refused, not that its time was over; "},
		{"gone@example.test failed 5.1.1 in doubt; dsn none", refused, ""},
		{"gone@example.test failed \"never\"", refused, `nothing says "never"; `},
		{"gone@example.test failed", waiting, "the sender says deferred; no host was asked to take it; the sender: deferred, attempts 2"},
		{"gone@example.test deferred in 2 attempts", waiting, ""},
		{"gone@example.test deferred", delivered, "the sender says delivered; "},
	} {
		checkOne(t, seenWorld(false), c.text, c.fate, c.want)
	}
}

func checkOne(t *testing.T, s *Sight, text string, fate *Fate, want string) {
	t.Helper()
	e, err := ParseExpectation(text)
	if err != nil {
		t.Fatal(err)
	}
	v := s.Check(e, 0, fate)
	unseen, isUnseen := strings.CutPrefix(want, "?")
	switch {
	case isUnseen:
		if got := strings.Join(v.Unseen, ", "); got != unseen {
			t.Errorf("%s: unseen %q, want %q", text, got, unseen)
		}
	case v.Met != (want == "") || !strings.HasPrefix(v.Seen, want) || len(v.Unseen) > 0:
		t.Errorf("%s: %+v, want %q", text, v, want)
	}
}

func TestReportsAreToldApartBySubject(t *testing.T) {
	s := &Sight{Reports: func([]byte) []Report {
		return []Report{{Recipient: "you@example.test", Action: "failed", Subject: "hello"}}
	}}
	s.Add(Event{Kind: EventMessage, Message: &Received{}})
	for subject, want := range map[string]bool{"hello": true, "another": false, "": true} {
		e, err := ParseExpectation("you@example.test failed; dsn failed")
		if e.subject = subject; err != nil || s.Check(e, 0, nil).Met != want {
			t.Errorf("subject %q: met is %v, %v", subject, !want, err)
		}
	}
}

func TestMessagesToOneRecipientAreToldApartBySubject(t *testing.T) {
	s := seenWorld(false)
	e, err := ParseExpectation("you@example.test delivered")
	if err != nil {
		t.Fatal(err)
	}
	e.subject = "another"
	if v := s.Check(e, 0, nil); v.Met || !strings.Contains(v.Seen, `mail with another subject than "another" came for it`) {
		t.Errorf("judged by another message: %+v", v)
	}
}
