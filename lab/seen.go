package lab

import (
	"fmt"
	"strings"

	"sternpost/mail"
)

// seen tells what was seen of a recipient: what speaks against the expectation first.
func (j *judgement) seen() string {
	parts := append(j.missed, j.account()...)
	return strings.Join(parts, "; ")
}

// account is what the hosts and the sender have to say.
func (j *judgement) account() []string {
	var parts []string
	for _, c := range j.copies {
		parts = append(parts, c.tell(j))
	}
	parts = append(parts, j.tellRefusals()...)
	if j.others > 0 && len(j.copies) == 0 {
		parts = append(parts, fmt.Sprintf("mail with another subject than %q came for it", j.e.subject))
	}
	if len(parts) == 0 {
		parts = append(parts, "no host was asked to take it")
	}
	if f := j.fate; f != nil {
		parts = append(parts, f.tell())
	}
	if actions := j.actions(); len(actions) > 0 {
		parts = append(parts, "dsn "+orNone(actions))
	}
	return shortened(parts)
}

// shortened keeps the first ones and the last of a long list.
func shortened(parts []string) []string {
	const most = 8
	if len(parts) <= most {
		return parts
	}
	short := append([]string{}, parts[:most-2]...)
	return append(short, fmt.Sprintf("%d more", len(parts)-most+1), parts[len(parts)-1])
}

func (c Copy) tell(j *judgement) string {
	took := showDuration(c.Since - j.sent)
	switch {
	case c.Accepted:
		return fmt.Sprintf("delivered by %s after %s", c.Host, took)
	case c.Reply == "":
		return fmt.Sprintf("%s got it after %s and did not answer", c.Host, took)
	}
	return fmt.Sprintf("%s answered the content with %s", c.Host, mail.Escape(c.Reply))
}

// tellRefusals joins what the same host said several times.
func (j *judgement) tellRefusals() []string {
	var order []string
	times := map[string]int{}
	for _, r := range j.refusals {
		said := fmt.Sprintf("%s said %s", r.Host, mail.Escape(r.Reply))
		if times[said]++; times[said] == 1 {
			order = append(order, said)
		}
	}
	for i, said := range order {
		if times[said] > 1 {
			order[i] = fmt.Sprintf("%s (%d times)", said, times[said])
		}
	}
	return order
}

func (f Fate) tell() string {
	text := fmt.Sprintf("the sender: %s", f.Disposition)
	if f.Expired {
		text = "the sender: expired"
	}
	if !f.Status.IsZero() {
		text += " " + f.Status.String()
	}
	if f.Host != "" {
		text += " by " + f.Host
	}
	text += fmt.Sprintf(", attempts %d", f.Attempts)
	if f.Text != "" {
		text += ", " + mail.Escape(f.Text)
	}
	return text
}

// Check judges all expectations of the scenario. fates are the sender's account, none where it is not known.
func (w *World) Check(fates ...Fate) []Verdict {
	var verdicts []Verdict
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.scenario.Expectations() {
		verdicts = append(verdicts, w.sight.Check(e, w.scenario.Messages[e.Message-1].At, fateOf(e, fates)))
	}
	return verdicts
}

// Judge judges one expectation by what the world saw so far. What is sent counts from the beginning of the world.
func (w *World) Judge(e Expectation) Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sight.Check(e, 0, nil)
}

func fateOf(e Expectation, fates []Fate) *Fate {
	for i := range fates {
		if fates[i].Message == e.Message && fates[i].Recipient == e.Recipient {
			return &fates[i]
		}
	}
	return nil
}

// WithReports lets the world recognize delivery status notifications among the mail that arrives.
func WithReports(read func(content []byte) []Report) Option {
	return func(w *World) { w.sight.Reports = read }
}
