package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery"
	"sternpost/delivery/smtptest"
	"sternpost/lab"
	"sternpost/mail"
)

// labVerdicts is what a probe must come to in the scenarios of the lab, as they are when they begin: by address, the verdict and what is broken.
func labVerdicts() map[string]string {
	return map[string]string{
		"backup-takes-unknown-users you@example.test": "broken: mx2.example.test takes-unknown-users",
		"dns-trouble you@servfail.test":               "delayed:",
		"dns-trouble you@silent.test":                 "delayed:",
		"drop-after-the-dot you@example.test":         "well:",
		"five-days-down you@example.test":             "delayed: mx1.example.test host-down, mx2.example.test host-down",
		"flapping early@example.test":                 "well:",
		"greylisted you@example.test":                 "delayed:",
		"mailbox-full full@patient.test":              "delayed: mx.patient.test host-defers",
		"mailbox-full full@strict.test":               "lost: mx.strict.test refused",
		"mailbox-full you@patient.test":               "well:",
		"mx-target-missing you@half.test":             "broken: mx-no-address",
		"mx-target-missing you@gone.test":             "lost: mx-no-address, mx-no-address",
		"no-mx you@example.test":                      "well:",
		"no-such-domain you@exmaple.test":             "lost:",
		"primary-down you@example.test":               "broken: mx1.example.test host-down",
		"rate-limited user1@example.test":             "well:",
		"refused-by-policy you@greeting.test":         "broken: mx1.greeting.test host-down",
		"refused-by-policy you@recipient.test":        "lost: mx1.recipient.test refuses",
		"starttls-broken you@broken.test":             "broken: mx.broken.test starttls-broken",
		"starttls-broken you@refused.test":            "broken: mx.refused.test starttls-broken",
		"starttls-broken you@expired.test":            "broken: mx.expired.test certificate-expired",
		"starttls-broken you@other-name.test":         "well:",
		"tarpit you@example.test":                     "well:",
	}
}

// The probe in the worlds of the lab: it says beforehand what mail will meet there. Nothing is sent.
func TestProbeOfTheLab(t *testing.T) {
	scenarios, err := lab.Scenarios()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for row, want := range labVerdicts() {
		name, address, _ := strings.Cut(row, " ")
		i := slices.IndexFunc(scenarios, func(s lab.Scenario) bool { return s.Name == name })
		if i < 0 {
			t.Fatalf("there is no scenario %s", name)
		}
		told[name] = true
		t.Run(row, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, received := probeOfScenario(t, scenarios[i], address)
				var broken []string
				for _, f := range p.Findings {
					if f.Level == "error" {
						broken = append(broken, strings.TrimSpace(f.Host+" "+f.Code))
					}
				}
				if got := strings.TrimSpace(string(p.Verdict) + ": " + strings.Join(broken, ", ")); got != want || received > 0 {
					t.Errorf("%s, want %s; %d messages\n%s\n%+v", got, want, received, p.Text, p.Findings)
				}
			})
		})
	}
	for _, s := range scenarios {
		if !told[s.Name] {
			t.Errorf("no probe of the scenario %s", s.Name)
		}
	}
}

// probeOfScenario probes an address in the world of a scenario, and tells how many messages arrived there.
func probeOfScenario(t *testing.T, s lab.Scenario, address string) (p delivery.Probe, received int) {
	t.Helper()
	w, err := lab.Open(s, lab.Memory(new(smtptest.Network), labPort))
	if err != nil {
		t.Fatal(err)
	}
	c := &configuration{settings: defaultSettings(), sources: map[string]source{}}
	c.lead(w)
	c.Delivery = delivery.ProbeConfig(c.Delivery)
	rooms, err := openRooms(labWorld(w, 1), c, delivery.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	to, err := mail.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	content, err := readMessage(strings.NewReader("Subject: x\n\nx\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err = rooms.agent.Probe(context.Background(), delivery.ProbeRequest{
		Recipient: to, Unknown: mail.Address{Local: "invented", Domain: to.Domain}, Content: content, Pause: time.Second, Budget: 10 * time.Minute,
	})
	p.Conclude(time.Now())
	received = len(w.Messages())
	if err := errors.Join(err, rooms.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return p, received
}
