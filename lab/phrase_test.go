package lab

import (
	"strings"
	"testing"
)

func TestPhrasesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "has no words",
		"dance":                       `"dance" begins no behaviour`,
		"up and away":                 `"and away" is not understood here`,
		"greylist":                    "as in: greylist for 5m",
		"greylist for ever":           `"ever" is not a duration`,
		"greylist for 0":              "longer than nothing",
		"tarpit fast":                 `"fast" is not a number`,
		"tarpit 20":                   "as in: tarpit 20 octets per second",
		"drop":                        "as in: drop at data",
		"drop at lunch":               `"lunch" is not one of the stages`,
		"slow 5s":                     `"5s" is not one of the stages`,
		"slow dot":                    `"" is not a duration`,
		"starttls odd":                `not "odd"`,
		"size none":                   `"none" is not a number`,
		"without BREAD":               `"BREAD" is not among the extensions`,
		"banner 220":                  "a code from 400 to 599, not 220",
		"banner 554 no mail for you":  `"no mail for you" is not understood here`,
		"mailbox empty":               "a mailbox is full, or nothing",
		"550":                         "550 when? As in: 550 for bad@.*",
		"5500 for all":                "a code from 400 to 599, not 5500",
		"550 4.1.1 for all":           "another class",
		"550 for":                     "for whom?",
		"550 for [":                   "not a regular expression",
		"450 for 0 percent":           "cannot be",
		"450 for 101 percent":         "cannot be",
		"550 at the door":             `"the" is not one of the stages`,
		"421 after lunch":             `"lunch" is not a number`,
		"421 after 3":                 "as in: 421 after 3 messages",
		"421 after 3 messages per go": `not per "go"`,
		`550 "no for all`:             "not closed",
		"down from 40 to 10":          "ends after it begins, not from 40s to 10s",
		"down from tomorrow":          `"tomorrow" is not a duration`,
		"down until 0":                "until 0 is never",
		"down from 10 until 40":       "is not understood here",
		"down from -5s":               "not a duration",
	} {
		if _, err := ParsePhrase(text); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

func TestPhrasesThatContradict(t *testing.T) {
	for texts, want := range map[string]string{
		"up / tarpit 5 octets per second":             "has no other behaviour",
		"refused / timeout":                           "contradict",
		"down from 10 to 40 / timeout from 30 to 50":  "contradict",
		"starttls absent / starttls required":         "contradict",
		"starttls expired / starttls broken":          "contradict",
		"without STARTTLS":                            "not among the extensions",
		"size 10 / without SIZE":                      "contradict",
		"greylist for 5m / greylist for 1h":           "contradict",
		"421 after 3 messages / 450 after 9 messages": "contradict",
		"banner 554 / no greeting":                    "contradict",
		"451 at mail / 554 at mail":                   "contradict",
		"refused / greylist for 5m":                   `"greylist for 5m" never comes to act, because of "refused"`,
		"greylist for 5m / banner 554":                `"greylist for 5m" never comes to act, because of "banner 554"`,
		"451 at mail / 550 for bad@.*":                "never comes to act",
		"450 for all / 550 for bad@.*":                "never comes to act",
		"endless line / 421 after 3 messages":         "never comes to act",
		"450 at mail until 1h / slow rcpt 5s until 5": "never comes to act",
	} {
		if _, err := ParseBehaviour(strings.Split(texts, " / ")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", texts, err, want)
		}
	}
	for _, texts := range []string{
		"down from 10 to 40 / down from 60 to 90 / timeout from 40 to 60",
		"550 for bad@.* / 450 for 20 percent / greylist for 5m / mailbox full for full@.*",
		"550 for bad@.* / 450 for all",
		"421 after 3 messages / 421 after 20 messages per minute",
		"starttls expired / starttls required",
		"refused until 1h / greylist for 5m",
		"banner 554 from 1h to 2h / tarpit 5 octets per second / slow greeting 5s",
		"banner 554 / slow greeting 5s / tarpit 5 octets per second",
		"size 10 / without DSN / without PIPELINING",
		"drop after the dot / slow dot 5s",
	} {
		if _, err := ParseBehaviour(strings.Split(texts, " / ")); err != nil {
			t.Errorf("%s: %v", texts, err)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]string{
		"40": "40s", "90s": "1m30s", "5m": "5m", "2h": "2h", "2h30m": "2h30m", "1d": "24h", "5d": "5d", "4d12h": "4d12h", "1500ms": "1.5s", "0": "0s", "3d0h20s": "3d20s",
	} {
		if got, err := ParseDuration(text); err != nil || showDuration(got) != want {
			t.Errorf("%q is %s, %v; want %s", text, showDuration(got), err, want)
		}
	}
	for _, text := range []string{"", "d", "5", "x", "-5", "-5s", "5d-1h", "5d+1h", "5 m", "99999999h", "1e3"} {
		if d, err := ParseDuration(text); err == nil && text != "5" {
			t.Errorf("%q is %v", text, d)
		}
	}
}

func FuzzParsePhrase(f *testing.F) {
	for _, line := range Phrases() {
		f.Add(line.Example)
	}
	f.Add(`550 5.1.1 "a \ {b} / c" for all but x@.* from second 1 to 2d`)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBehaviour([]string{text})
		if err != nil {
			return
		}
		again, err := ParsePhrase(b[0].Text)
		if err != nil || again.Text != b[0].Text || again.Window != b[0].Window || again.kind != b[0].kind || again.reply != b[0].reply {
			t.Errorf("%q is not read the same again: %+v, %v", text, again, err)
		}
		runs(t, b)
	})
}
