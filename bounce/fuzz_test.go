package bounce

import (
	"slices"
	"strings"
	"testing"

	"sternpost/mail"
)

// Whatever a stranger answers there is a verdict of the closed lists, and the sentence for people is printable.
func FuzzClassify(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.failure.Code, s.failure.Status[1], s.failure.Status[2], string(s.failure.Stage), strings.Join(s.failure.Lines, " "), s.failure.Reason, s.failure.Host)
	}
	f.Add(550, 1, 1, "rcpt", "\x1b[31m\xff<@@>(((", "\u202e", "\x00")
	f.Add(0, 0, 0, "", strings.Repeat("user mailbox ", 1000), strings.Repeat("a", 10000), strings.Repeat("用户", 3000))
	f.Add(550, 0, 0, "rcpt", "550 no", "", "户")
	c := classifier(f)
	f.Fuzz(func(t *testing.T, code, subject, detail int, stage, reply, reason, host string) {
		failure := Failure{Code: code, Status: mail.Status{code / 100, subject, detail}, Stage: mail.Stage(stage), Lines: []string{reply}, Reason: reason, Host: host}
		for _, of := range []Failure{failure, FromReport(mail.Address{}, failure.Status, reply, host)} {
			v := c.Classify(of)
			if !slices.Contains(Categories(), v.Category) || !slices.Contains(Categories(), v.Cause) || !slices.Contains(Faults(), v.Fault) {
				t.Errorf("%+v", v)
			}
			if v.Sentence == "" || v.Sentence != mail.Escape(strings.ReplaceAll(v.Sentence, `\`, "")) && !strings.Contains(v.Sentence, `\`) {
				t.Errorf("%q", v.Sentence)
			}
			if again := c.Classify(of); again != v {
				t.Errorf("%+v, then %+v", v, again)
			}
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	c, list := classifier(b), samples(b)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c.Classify(list[n%len(list)].failure)
	}
}

// The longest reply that is looked at, of the words that most phrases begin with.
func BenchmarkClassifyHostile(b *testing.B) {
	c := classifier(b)
	text := strings.Repeat("user mailbox recipient is the not unknown address message mail rejected ", maxText/60)
	b.ReportAllocs()
	for b.Loop() {
		c.Classify(Failure{Code: 550, Stage: mail.StageRcpt, Lines: []string{"550 " + text}})
	}
}
