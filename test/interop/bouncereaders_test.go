//go:build interop

package interop

import (
	"slices"
	"testing"
)

// reader is a program that reads reports.
type reader struct {
	name   string
	status bool // it tells the status
	// words are its words for causes, and our categories that each stands for. Words that say that it does not know stand for none.
	words map[string][]string
	// silent are the kinds of failure for which it has no word or a wrong one, and why. For all others its word must be ours.
	silent map[string]string
}

func readers() []reader {
	return []reader{sisimai(), bounceParser(), {name: "flufl"}}
}

func sisimai() reader {
	return reader{
		name: "sisimai", status: true,
		words: map[string][]string{
			"userunknown": {"bad-mailbox"}, "hasmoved": {"bad-mailbox"}, "mailboxfull": {"mailbox-full"}, "suspend": {"inactive"}, "norelaying": {"relay-denied"},
			"mesgtoobig": {"too-large"}, "rejected": {"rejected-sender"}, "spamdetected": {"spam"}, "toomanyconn": {"rate-limited"}, "systemfull": {"system"}, "expired": {"expired"},
			"networkerror": {"network"}, "notaccept": {"bad-domain"},
			// It makes no difference between a domain that is not there and one whose records lead nowhere.
			"hostunknown": {"bad-domain", "dns"},
			// This version counts greylisting here.
			"blocked": {"reputation", "greylisted"},
			// All of x.7.x that its texts do not know better: SPF and DKIM, TLS, viruses.
			"securityerror": {"authentication", "tls", "content"},
			// All of x.6.x: form and characters.
			"contenterror": {"content", "protocol"},
			"onhold":       nil, "undefined": nil,
		},
		silent: map[string]string{
			"loop":        "it knows loops by the words of others",
			"by-operator": "no other agent has a person who returns mail",
		},
	}
}

func bounceParser() reader {
	const fewer = "it has no word for it"
	return reader{
		name: "bounceparser", status: true,
		words: map[string][]string{
			"user_unknown": {"bad-mailbox"}, "over_quota": {"mailbox-full"}, "user_disabled": {"inactive"},
			// Spam, and those who are taken for its senders.
			"spam": {"spam", "reputation"},
			// The domain is not there, cannot be reached, or is not served where its mail goes.
			"domain_error": {"bad-domain", "dns", "expired", "relay-denied"},
			"unknown":      nil,
		},
		silent: map[string]string{
			"too-large-by-size": "it knows the words of Postfix and Sendmail only", "too-large": "to it every limit is a quota", "rejected-sender": fewer, "authentication": fewer, "virus": fewer,
			"greylisted": `it takes "Recipient address rejected" for an unknown user, whatever follows`, "rate-limited": fewer, "system": fewer, "in-doubt": fewer, "tls-required": fewer,
			"no-smtputf8": fewer, "by-operator": fewer, "null-mx": "it is older than RFC 7505", "loop": fewer,
		},
	}
}

// check compares what the reader has found with the journal.
func (r reader) check(t *testing.T, f failing, want failure, found []failure) {
	if len(found) != 1 {
		t.Fatalf("%s has found %d recipients: %+v", r.name, len(found), found)
	}
	got := found[0]
	if got.Action != want.Action || got.Recipient != want.Recipient || r.status && got.Status != want.Status {
		t.Errorf("%s reads %s of %s, %s; the journal says %s of %s, %s", r.name, got.Action, got.Recipient, got.Status, want.Action, want.Recipient, want.Status)
	}
	if r.words == nil {
		return
	}
	categories, known := r.words[got.word]
	alike := slices.Contains(categories, want.Category) || slices.Contains(categories, want.Cause)
	why, silent := r.silent[f.name]
	switch {
	case !known:
		t.Errorf("%s has the word %q, which nobody knows here", r.name, got.word)
	case silent && alike:
		t.Errorf("%s has the word %q for it now, so it is silent no more (%s)", r.name, got.word, why)
	case !silent && !alike:
		t.Errorf("%s says %q, which is not the %s (%s) of the journal", r.name, got.word, want.Category, want.Cause)
	}
}
