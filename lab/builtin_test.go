package lab

import (
	"strings"
	"testing"
)

func TestScenariosThatComeWithTheProgram(t *testing.T) {
	all, err := Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 12 {
		t.Errorf("%d scenarios, want twelve or more", len(all))
	}
	for _, s := range all {
		if s.About == "" || len(s.Expectations()) == 0 {
			t.Errorf("%s says nothing of itself, or expects nothing", s.Name)
		}
		if _, ok := s.Host("mx.client.test"); !ok {
			t.Errorf("%s: reports have nowhere to go", s.Name)
		}
		if len(s.Title) > 50 {
			t.Errorf("%s: its title does not fit into the list", s.Name)
		}
		for number, line := range strings.Split(s.Text, "\n") {
			if len(line) > 88 {
				t.Errorf("%s:%d: too long to be read as a document", s.Name, number+1)
			}
		}
	}
	if _, err := Load("no-such"); err == nil || !strings.Contains(err.Error(), "five-days-down") {
		t.Errorf("a scenario that is not there: %v", err)
	}
}
