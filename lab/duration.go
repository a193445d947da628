package lab

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// days is a whole number of days at the beginning of a duration.
var days = regexp.MustCompile(`^(\d{1,4})d`)

// ParseDuration reads a time as scenarios have it: "40" (seconds), "90s", "1h30m", "5d", "4d12h". It is not negative.
func ParseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a duration such as 40 (seconds), 90s, 5m, 2h30m or 5d", text)
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	var whole time.Duration
	if match := days.FindStringSubmatch(text); match != nil {
		n, _ := strconv.Atoi(match[1]) // the pattern has digits only
		whole, text = time.Duration(n)*24*time.Hour, text[len(match[0]):]
		if text == "" {
			return whole, nil
		}
	}
	if strings.HasPrefix(text, "-") || strings.HasPrefix(text, "+") {
		return 0, wrong
	}
	d, err := time.ParseDuration(text)
	if err != nil || d > 10_000*24*time.Hour {
		return 0, wrong
	}
	return whole + d, nil
}

// showDuration writes a duration the short way: 5m, not 5m0s; days from two on.
func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	prefix := ""
	if d >= 2*day {
		prefix, d = fmt.Sprintf("%dd", d/day), d%day
		if d == 0 {
			return prefix
		}
	}
	switch {
	case d >= time.Hour:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	default:
		d = d.Round(time.Millisecond)
	}
	text := d.String()
	text = strings.TrimSuffix(text, "0s")
	if text == "" || !strings.HasSuffix(text, "m") {
		return prefix + d.String()
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return prefix + text
}

// Window is the time in which a phrase holds, from the start of the world. To is 0 where it has no end.
type Window struct{ From, To time.Duration }

func (w Window) holds(at time.Duration) bool { return at >= w.From && (w.To == 0 || at < w.To) }

func (w Window) overlaps(o Window) bool {
	return (w.To == 0 || o.From < w.To) && (o.To == 0 || w.From < o.To)
}

// borders are the times at which any of the windows begins or ends, in order and each once.
func borders(windows []Window) []time.Duration {
	var all []time.Duration
	for _, w := range windows {
		for _, at := range []time.Duration{w.From, w.To} {
			if at > 0 {
				all = append(all, at)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// contains says whether w holds whenever o does.
func (w Window) contains(o Window) bool {
	return w.From <= o.From && (w.To == 0 || o.To != 0 && o.To <= w.To)
}

// cutWindow takes "from A to B", "from A" or "until B" off the end of the words.
func cutWindow(words []word) (Window, []word, error) {
	for i := len(words) - 1; i >= 0; i-- {
		if words[i].quoted {
			continue
		}
		switch words[i].text {
		case "until":
			to, err := windowTime(words[i+1:])
			return Window{To: to}, words[:i], orNever(err, to)
		case "from":
			w, err := fromTo(words[i+1:])
			return w, words[:i], err
		}
	}
	return Window{}, words, nil
}

func fromTo(words []word) (Window, error) {
	before, after := words, []word(nil)
	for i, w := range words {
		if w.text == "to" {
			before, after = words[:i], words[i+1:]
			break
		}
	}
	from, err := windowTime(before)
	if err != nil || len(before) == len(words) {
		return Window{From: from}, err
	}
	to, err := windowTime(after)
	if err == nil && to <= from {
		err = fmt.Errorf("a window ends after it begins, not from %s to %s", showDuration(from), showDuration(to))
	}
	return Window{From: from, To: to}, err
}

// windowTime reads one duration; the words second and seconds around a number say nothing.
func windowTime(words []word) (time.Duration, error) {
	var left []string
	for _, w := range words {
		if w.text != "second" && w.text != "seconds" {
			left = append(left, w.text)
		}
	}
	return ParseDuration(strings.Join(left, " "))
}

func orNever(err error, to time.Duration) error {
	if err == nil && to == 0 {
		return fmt.Errorf("until 0 is never")
	}
	return err
}
