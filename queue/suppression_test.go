package queue

import (
	"testing"

	"sternpost/bounce"
	"sternpost/mail"
)

func TestNoMailbox(t *testing.T) {
	classifier, err := bounce.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	outcome := func(stage mail.Stage, lines ...string) mail.Outcome {
		o := mail.Outcome{Disposition: mail.Failed, Stage: stage, Scope: mail.ScopeRecipient, Status: mail.Status{5, 1, 1}}
		if len(lines) > 0 {
			o.Reply = mail.Reply{Code: int(lines[0][0]-'0')*100 + 50, Lines: lines}
		}
		return o
	}
	deferred := outcome(mail.StageRcpt, "550 5.1.1 no such user")
	deferred.Disposition = mail.Deferred
	for name, c := range map[string]struct {
		outcome mail.Outcome
		want    bool
	}{
		"bad mailbox":            {outcome(mail.StageRcpt, "550 5.1.1 no such user"), true},
		"moved":                  {outcome(mail.StageRcpt, "550 5.1.6 moved"), true},
		"disabled":               {outcome(mail.StageRcpt, "550 5.2.1 disabled"), true},
		"told after the dot":     {outcome(mail.StageDot, "550 5.1.1 no such user"), true},
		"of a block list":        {outcome(mail.StageRcpt, "550 5.1.1 your host 192.0.2.1 is listed at the block list of zen.spamhaus.org"), false},
		"no status":              {outcome(mail.StageRcpt, "550 no such user"), false},
		"status of our own":      {outcome(mail.StageResolve), false},
		"policy":                 {outcome(mail.StageRcpt, "550 5.7.1 blocked"), false},
		"full":                   {outcome(mail.StageRcpt, "552 5.2.2 full"), false},
		"other class":            {outcome(mail.StageRcpt, "450 5.1.1 no such user"), false},
		"soft":                   {outcome(mail.StageRcpt, "450 4.1.1 later"), false},
		"not for good":           {deferred, false},
		"about the sender":       {outcome(mail.StageMail, "550 5.1.1 who are you"), false},
		"domain takes no mail":   {outcome(mail.StageRcpt, "556 5.1.10 null MX"), false},
		"bad destination system": {outcome(mail.StageRcpt, "550 5.1.2 no such domain"), false},
	} {
		if got := noMailbox(classifier, c.outcome); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestSuppressionIsPerSender(t *testing.T) {
	for _, c := range []struct {
		enabled bool
		senders []string
		except  []string
		sender  string
		want    bool
	}{
		{false, nil, nil, "shop", false},
		{true, nil, nil, "shop", true},
		{true, nil, nil, "", true},
		{true, nil, []string{"shop"}, "shop", false},
		{false, []string{"shop"}, nil, "shop", true},
		{false, []string{"shop"}, nil, "Shop", false},
		{false, []string{"shop"}, []string{"shop"}, "shop", false},
		{false, []string{"a@b.example"}, nil, "A@b.example", true},
		{false, []string{"b.example"}, nil, "x@b.example", true},
		{false, []string{"b.example"}, nil, "x@c.b.example", false},
		{true, nil, []string{".b.example"}, "x@c.b.example", false},
		{false, []string{"*"}, nil, "shop", false}, // a pattern is one of addresses
	} {
		s := SuppressionConfig{Enabled: c.enabled, Senders: c.senders, Except: c.except}
		if got := s.on(c.sender); got != c.want {
			t.Errorf("%+v: %q: %t", s, c.sender, got)
		}
	}
}

func TestSuppressionConfigIsChecked(t *testing.T) {
	if err := DefaultSuppressionConfig().Check(); err != nil {
		t.Error(err)
	}
	err := SuppressionConfig{Failures: 0, Forget: -1, Senders: []string{""}, Except: []string{""}}.Check()
	if err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) != 4 {
		t.Error(err)
	}
}
