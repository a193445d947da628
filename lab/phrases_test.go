package lab

import (
	"testing"

	"sternpost/delivery/smtptest"
)

func TestEveryPhraseOfTheListIsOne(t *testing.T) {
	kinds := map[kind]bool{}
	for _, line := range Phrases() {
		for _, window := range []string{"", " from 10 to 40", " from 5m", " until 5d"} {
			b, err := ParseBehaviour([]string{line.Example + window})
			if err != nil {
				t.Error(err)
				continue
			}
			kinds[b[0].kind] = true
			runs(t, b)
		}
		if len(line.Example) > 36 || len(line.Example)+len(line.Meaning) > 100 {
			t.Errorf("%s: the line is too long for a terminal", line.Example)
		}
	}
	for k := kindUp; k <= kindWithout; k++ {
		if !kinds[k] {
			t.Errorf("the kind of phrase %d is not in the list", k)
		}
	}
}

// runs checks that what smtptest is given of a behaviour can be read by it.
func runs(t *testing.T, b Behaviour) {
	t.Helper()
	for _, at := range append(b.borders(), 0) {
		if _, err := smtptest.ParseScript(b.script("mx.test", at)); err != nil {
			t.Errorf("%q at %v: %v", b.Strings(), at, err)
		}
	}
	for _, p := range b {
		if p.kind == kindReply {
			if _, err := smtptest.ParseScript("rcpt " + p.reply.usual(p.stage).steps(false)); err != nil {
				t.Errorf("%q: %v", p.Text, err)
			}
		}
	}
}
