package lab

import (
	"errors"
	"strings"
)

// TB is what New needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Error(...any)
	Fatal(...any)
}

// TestWorld is a world that belongs to a test.
type TestWorld struct {
	*World
	t TB
}

// New opens a world for a test, which closes it. The scenario is the name of one that comes with the program, or the text of a scenario file. The world stands on
// loopback addresses, at ports that are free: DNS().Addr() and Port() say which.
func New(t TB, scenario string, options ...Option) *TestWorld {
	t.Helper()
	return NewAt(t, scenario, Loopback(0, "127.0.0.1:0"), options...)
}

// NewAt is New at another place: Memory(n, 25) in a testing/synctest bubble.
func NewAt(t TB, scenario string, place Place, options ...Option) *TestWorld {
	t.Helper()
	s, err := named(scenario)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(s, place, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return &TestWorld{World: w, t: t}
}

func named(scenario string) (Scenario, error) {
	if strings.Contains(scenario, "\n") {
		return Parse("scenario", scenario)
	}
	return Load(scenario)
}

// Expect fails the test, and tells what was seen instead, unless the expectation holds now. One that only the sender can judge fails too.
func (w *TestWorld) Expect(text string) {
	w.t.Helper()
	e, err := ParseExpectation(text)
	if err != nil {
		w.t.Fatal(err)
	}
	v := w.Judge(e)
	if !v.Met {
		w.t.Error(errors.New("expected: " + e.Text + "\nseen: " + v.Seen))
	}
	if len(v.Unseen) > 0 {
		w.t.Error(errors.New("expected: " + e.Text + "\nonly the sender knows " + strings.Join(v.Unseen, ", ")))
	}
}
