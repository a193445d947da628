package bounce

import (
	"net/url"
	"testing"

	"sternpost/mail"
)

// owners are the domains that providers and block lists keep their pages in, where it is none of their hosts' own.
func owners() map[string][]string {
	microsoft := []string{"protection.outlook.com", "microsoft.com"}
	return map[string][]string{
		"olc.protection.outlook.com": microsoft, "mail.protection.outlook.com": microsoft, "outlook.com": microsoft, "yahoodns.net": {"yahooinc.com"}, "icloud.com": {"apple.com"},
		"pphosted.com": {"proofpoint.com"}, "barracudanetworks.com": {"barracudacentral.org"}, "iphmx.com": {"talosintelligence.com"}, "yandex.ru": {"yandex.com"},
		"spamhaus": {"spamhaus.org"}, "spamcop": {"spamcop.net"}, "barracudacentral": {"barracudacentral.org"}, "abusix": {"abusix.com"}, "uceprotect": {"uceprotect.net"},
		"surriel": {"psbl.org"}, "invaluement": {"invaluement.com"},
	}
}

// Each page is https and of who it is about: a link in what an operator reads leads nowhere else.
func TestPagesAreOfTheirOwners(t *testing.T) {
	c := classifier(t)
	check := func(names []string, link string) {
		t.Helper()
		u, err := url.Parse(link)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Port() != "" {
			t.Errorf("%v: %q is not the address of a page", names, link)
			return
		}
		own := append(owners()[names[0]], names...)
		for _, domain := range own {
			if anyBelow([]string{u.Host}, domain) {
				return
			}
		}
		t.Errorf("%v: %s is in none of %v", names, link, own)
	}
	for _, p := range c.providers {
		check(p.Hosts, p.Link)
	}
	for _, l := range c.lists {
		check(l.Words, l.Link)
	}
	for _, r := range c.rules {
		if r.Link != "" {
			t.Errorf("the rule %s has a link that nothing checks", r.Name)
		}
	}
}

func TestPageOfAVerdict(t *testing.T) {
	for _, want := range []struct {
		host, reply, link string
	}{
		{"mx1.example.net", "550 5.7.1 rejected by zen.spamhaus.org", "https://check.spamhaus.org/"},
		{"a.olc.protection.outlook.com", "550 5.7.1 part of your network is on our block list (S3140)", "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting"},
		{"a.olc.protection.outlook.com", "550 5.7.1 your address is listed by Spamhaus", "https://check.spamhaus.org/"},
		{"gmail-smtp-in.l.google.com", "552 5.2.2 mailbox full, says spamcop", "https://support.google.com/a/answer/3726730"},
		{"mx1.notgoogle.com", "550 5.1.1 no such user", ""},
		{"mx1.example.net", "550 5.7.1 your address is on a block list", ""},
	} {
		f := unwrap(want.reply)
		f.Stage, f.Host = mail.StageRcpt, want.host
		if v := classifier(t).Classify(f); v.Link != want.link {
			t.Errorf("%s: %q: %s by %s has the page %q, not %q", want.host, want.reply, v.Category, v.Rule, v.Link, want.link)
		}
	}
}
