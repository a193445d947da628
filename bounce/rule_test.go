package bounce

import (
	"slices"
	"strings"
	"testing"

	"sternpost/journal"
	"sternpost/mail"
)

func TestOwnRulesComeFirst(t *testing.T) {
	no := false
	c := classifier(t, Rule{Name: "mine", Category: "policy", Text: []string{"computer (says|said) no"}, Codes: []string{"55x"}, Stages: []string{"rcpt"}, Domains: []string{"example.net"},
		Fault: "us", Sentence: "{host} does not like {recipient}.", Action: "Ask {domain}.", Link: "https://example.net/no", Hard: &no, Sample: "rcpt 550 5.1.1 The computer says: NO"})
	failure := Failure{Code: 550, Status: mail.Status{5, 1, 1}, Stage: mail.StageRcpt, Lines: []string{"550-5.1.1 The computer", "550 5.1.1 says <a@b.example> no"},
		Recipient: "x@example.net", Domain: "example.net", Host: "mx\x1b.example.net"}
	want := Verdict{Category: Policy, Cause: Policy, Permanent: true, Fault: FaultUs, Sentence: `mx\x1b.example.net does not like x@example.net.`, Action: "Ask example.net.",
		Link: "https://example.net/no", Rule: "mine"}
	if v := c.Classify(failure); v != want {
		t.Errorf("%+v\nwant %+v", v, want)
	}
	for name, change := range map[string]func(*Failure){
		"code":   func(f *Failure) { f.Code = 450 },
		"stage":  func(f *Failure) { f.Stage = mail.StageDot },
		"domain": func(f *Failure) { f.Domain, f.Host = "badexample.net", "mx.example.org" },
		"text":   func(f *Failure) { f.Lines = []string{"550 computer says nothing"} },
	} {
		other := failure
		change(&other)
		if v := c.Classify(other); v.Rule == "mine" {
			t.Errorf("another %s fits too", name)
		}
	}
}

func TestWrongRulesAreTold(t *testing.T) {
	good := Rule{Name: "r", Category: "spam", Text: []string{"bad luck"}}
	for want, change := range map[string]func(*Rule){
		"bounce.rules[0].name: is missing":                                              func(r *Rule) { r.Name = "" },
		`bounce.rules[0].category: "rubbish" is none; they are bad-mailbox, `:           func(r *Rule) { r.Category = "rubbish" },
		"bounce.rules[0].text: is missing":                                              func(r *Rule) { r.Text = nil },
		`bounce.rules[0].fault: "me" is none; they are us, `:                            func(r *Rule) { r.Fault = "me" },
		`bounce.rules[0].link: "http://x" is not`:                                       func(r *Rule) { r.Link = "http://x" },
		`bounce.rules[0].codes: "6xx" is not a code`:                                    func(r *Rule) { r.Codes = []string{"6xx"} },
		`bounce.rules[0].status: "5.1" is not a status`:                                 func(r *Rule) { r.Status = []string{"5.1"} },
		`bounce.rules[0].stages: "lunch" is none; they are resolve, `:                   func(r *Rule) { r.Stages = []string{"lunch"} },
		`bounce.rules[0].text: "a (b|c" has a ( without its )`:                          func(r *Rule) { r.Text = []string{"a (b|c"} },
		`bounce.rules[0].text: "a b)" has a ) or | without its (`:                       func(r *Rule) { r.Text = []string{"a b)"} },
		`bounce.rules[0].text: "* b" must begin and end with a word`:                    func(r *Rule) { r.Text = []string{"* b"} },
		`bounce.rules[0].text: "(a|)" must begin`:                                       func(r *Rule) { r.Text = []string{"(a|)"} },
		`bounce.rules[0].text: "a * b * c * d" has more than 2 gaps`:                    func(r *Rule) { r.Text = []string{"a * b * c * d"} },
		`bounce.rules[0].text: "a b c d e f g h i" has more than 8 parts`:               func(r *Rule) { r.Text = []string{"a b c d e f g h i"} },
		`bounce.rules[0].text: "b ^ a" has a ^ that is not its beginning`:               func(r *Rule) { r.Text = []string{"b ^ a"} },
		`bounce.rules[0].text: "error 42" has "42": numbers are left out`:               func(r *Rule) { r.Text = []string{"error 42"} },
		`bounce.rules[0].text: "a (b|c * d)" has a * between ( and )`:                   func(r *Rule) { r.Text = []string{"a (b|c * d)"} },
		`bounce.rules[0].sample: is recognized by the rule "mailbox-full", not by this`: func(r *Rule) { r.Sample = "550 mailbox full" },
	} {
		r := good
		change(&r)
		if _, err := New([]Rule{r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
	if _, err := New([]Rule{good}); err != nil {
		t.Error(err)
	}
}

func TestPhrases(t *testing.T) {
	for _, row := range []struct {
		phrase, text string
		fits         bool
	}{
		{"user unknown", "550 5.1.1 <a@b.example>: User  UNKNOWN!", true},
		{"user unknown", "the user-unknown thing", true},
		{"user unknown", "superuser unknown", false},
		{"user unknown", "user\r\n550 5.1.1 unknown", true},
		{"user unknown", "user <a@b.example> unknown", true},
		{"user unknown", "user-unknown@example.net is fine", false}, // an address says nothing
		{"user * unknown", "user one two three four five unknown", true},
		{"user * unknown", "user one two three four five six unknown", false},
		{"^ user unknown", "550 : user unknown", true},
		{"^ user unknown", "550 <a@b.example>: user unknown", false},
		{"^ user unknown", "no user unknown", false},
		{"user unknown $", "user unknown (#5.1.1)", true},
		{"user unknown $", "user unknown here", false},
		{"user (is |)(not|un) (known|found)", "user not known", true},
		{"user (is |)(not|un) (known|found)", "user is not found", true},
		{"user (is |)(not|un) (known|found)", "user is", false},
		{"user (gone|unknown $)", "user unknown here", false},
		{"user (gone|unknown $)", "user unknown", true},
		{"mailbox (full|is full)", "mailbox is full", true},
		{"boite pleine", "Boîte pleine", true},
		{"用户不存在", "<用户不存在>", true},
		{"hm08", "[HM08] no", true},
	} {
		p, err := compile(row.phrase)
		if err != nil {
			t.Fatal(err)
		}
		text := words(row.text)
		fits := false
		for at := range text {
			fits = fits || p.fits(text, at)
		}
		if fits != row.fits {
			t.Errorf("%q in %q: %v", row.phrase, row.text, fits)
		}
	}
}

func TestOfLongTextTheBeginningCounts(t *testing.T) {
	if list := words(strings.Repeat("a", 10*maxText)); len(list) != 1 || len(list[0]) != maxText {
		t.Errorf("%d words, the first of %d octets", len(list), len(list[0]))
	}
	if list := words(strings.Repeat("a-", 10*maxText)); len(list) != maxWords {
		t.Errorf("%d words", len(list))
	}
}

// What other agents write around a reply does not count as the reply, but says where and at which station it was.
func TestForeignReports(t *testing.T) {
	for _, row := range []struct {
		diagnostic string
		code       int
		status     string
		stage      mail.Stage
		host       string
	}{
		{"host mx.example.net[192.0.2.1] said: 550 5.1.1 <a@example.net>: User unknown (in reply to RCPT TO command)", 550, "5.1.1", mail.StageRcpt, "mx.example.net"},
		{"SMTP error from remote mail server after end of data: host mx.example.net [192.0.2.1]: 554 5.7.1 no", 554, "5.7.1", mail.StageDot, "mx.example.net"},
		{"connect to mx.example.net[192.0.2.1]: server refused to talk to me: 421 busy", 421, "", mail.StageGreeting, ""},
		{"smtp; 550-5.7.26 the mail\n550 5.7.26 is not signed", 550, "5.7.26", "", ""},
		{"192.0.2.1 does not like recipient.\nRemote host said: 550 no mailbox", 550, "", mail.StageRcpt, ""},
		{"550 5.1.1 nobody 503 5.0.0 Need RCPT (recipient)", 550, "5.1.1", "", ""},
		{"#5.2.2 the mailbox is full", 0, "5.2.2", "", ""},
		{"", 0, "", "", ""},
	} {
		f := unwrap(row.diagnostic)
		if f.Code != row.code || f.Status.String() != row.status || f.Stage != row.stage || f.Host != row.host {
			t.Errorf("%s: %d %s %s %s", row.diagnostic, f.Code, f.Status, f.Stage, f.Host)
		}
	}
	c := classifier(t)
	for diagnostic, want := range map[string]Category{
		"retry timeout exceeded": Expired, "unable to deliver this message after 2 days": Expired, "delivery of the mail failed: Disk quota exceeded": MailboxFull, "mail loop detected": Network, "": System,
	} {
		if v := c.Classify(FromReport(mail.Address{}, mail.Status{4, 3, 0}, diagnostic, "")); v.Category != want || diagnostic != "" && v.Fault == FaultUs {
			t.Errorf("%s: %+v", diagnostic, v)
		}
	}
	if lines := unwrap("550 5.1.1 nobody 503 5.0.0 Need RCPT (recipient)").Lines; !slices.Equal(lines, []string{"550 5.1.1 nobody"}) {
		t.Errorf("%q", lines)
	}
	a, _ := mail.ParseAddress("a@example.net")
	f := FromReport(a, mail.Status{5, 1, 1}, "host mx.example.org[192.0.2.1] said: 550 no", "mx.example.net")
	if f.Status != (mail.Status{5, 1, 1}) || f.Host != "mx.example.org" || f.Recipient != "a@example.net" || f.Domain != "example.net" {
		t.Errorf("%+v", f)
	}
}

func TestProvidersHavePages(t *testing.T) {
	c := classifier(t)
	for host, want := range map[string]string{
		"gmail-smtp-in.l.google.com": "https://support.google.com/", "example-org.mail.protection.outlook.com": "https://learn.microsoft.com/",
		"hotmail-com.olc.protection.outlook.com": "https://sendersupport.olc.", "mta5.am0.yahoodns.net": "https://senders.yahooinc.com/", "mx.notgoogle.com": "",
	} {
		link := c.Classify(Failure{Code: 550, Host: host}).Link
		if !strings.HasPrefix(link, want) || want == "" && link != "" {
			t.Errorf("%s: %q", host, link)
		}
	}
}

// What ends by time keeps its cause, and never says that an address is dead.
func TestExpiredKeepsItsCause(t *testing.T) {
	c := classifier(t)
	v := c.Classify(Failure{Code: 452, Status: mail.Status{4, 2, 2}, Stage: mail.StageRcpt, Lines: []string{"452 4.2.2 over quota"}, Recipient: "a@example.net",
		Reason: journal.LifetimeEnded + "; the last attempt: 452 over quota"})
	if v.Category != Expired || v.Cause != MailboxFull || v.Hard || v.Fault != FaultRecipient || !strings.HasSuffix(v.Sentence, "The mailbox a@example.net is full.") {
		t.Errorf("%+v", v)
	}
	v = c.Classify(Failure{Code: 450, Status: mail.Status{4, 1, 1}, Lines: []string{"450 4.1.1 user unknown"}, Reason: journal.LifetimeEnded})
	if v.Category != Expired || v.Cause != BadMailbox || v.Hard {
		t.Errorf("%+v", v)
	}
	v = c.Classify(Failure{Code: 550, Status: mail.Status{5, 1, 1}, Lines: []string{"550 5.1.1 user unknown"}, Reason: "550 5.1.1 " + journal.LifetimeEnded})
	if v.Category != BadMailbox || !v.Hard {
		t.Errorf("a stranger says that the lifetime ended: %+v", v)
	}
}

// What a person returned is told as that, and nobody is advised to wait for it.
func TestReturnedByAPerson(t *testing.T) {
	c := classifier(t)
	f := Failure{Code: 450, Status: mail.Status{5, 0, 0}, Stage: mail.StageRcpt, Lines: []string{"450 4.2.0 Greylisted, try again later"}, Reason: journal.Returned, Host: "mx.example.net"}
	v := c.Classify(f)
	if v.Category != Greylisted || v.Sentence != "A person who runs this system returned the message to its sender. The last attempt: mx.example.net makes unknown senders wait (greylisting)." || strings.HasPrefix(v.Action, "Wait") {
		t.Errorf("%+v", v)
	}
	if v := c.Classify(Failure{Status: mail.Status{5, 0, 0}, Reason: journal.Returned}); v.Sentence != "A person who runs this system returned the message to its sender." || v.Action != "Ask the operator of this system." {
		t.Errorf("never tried: %+v", v)
	}
}
