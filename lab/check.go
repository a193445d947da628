package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sternpost/mail"
)

// Fate is a sender's own account of one recipient.
type Fate struct {
	Message     int // the number of the scenario's message, from 1
	Recipient   mail.Address
	Disposition mail.Disposition
	Expired     bool // failed because its time was over
	Host        string
	Attempts    int
	Status      mail.Status
	Text        string // the reason and the reply, as a person would read them
	InDoubt     bool
	At          time.Time // of the last attempt
	DSN         []string  // the actions that were reported, in their order
}

// Verdict says whether an expectation is met.
type Verdict struct {
	Expectation Expectation `json:"expectation"` // as it is written
	Met         bool        `json:"met"`
	Seen        string      `json:"seen"`   // what was seen, in a few words
	Unseen      List        `json:"unseen"` // what could not be judged, because only the sender knows
}

// Check judges an expectation by what the world saw, and by the sender's account where that is known. sent is when the message was handed to the sender, since
// the beginning of the world.
func (s *Sight) Check(e Expectation, sent time.Duration, fate *Fate) Verdict {
	j := &judgement{e: e, fate: fate, sent: sent, reportable: s.Reports != nil}
	j.gather(s)
	j.judge()
	return Verdict{Expectation: e, Met: len(j.missed) == 0, Seen: j.seen(), Unseen: j.unseen}
}

// judgement is the weighing of one expectation.
type judgement struct {
	e          Expectation
	fate       *Fate
	sent       time.Duration
	copies     []Copy
	others     int // copies of mail to the recipient that has another subject
	refusals   []Refusal
	reports    []Report
	reportable bool

	missed []string
	unseen []string
}

func (j *judgement) miss(format string, arguments ...any) {
	j.missed = append(j.missed, fmt.Sprintf(format, arguments...))
}

func (j *judgement) judge() {
	switch j.e.Fate {
	case Delivered:
		j.delivered()
	case NotDelivered:
		if len(j.accepted()) > 0 {
			j.miss("it was taken")
		}
	case Deferred:
		j.deferred()
	default:
		j.failed()
	}
	if n := len(j.copies); j.e.Copies >= 0 && n != j.e.Copies {
		j.miss("copies %d", n)
	}
	j.attempts()
	j.dsn()
	if j.e.InDoubt {
		j.inDoubt()
	}
}

// accepted are the copies that a host took; only those at the host that is expected.
func (j *judgement) accepted() []Copy {
	var taken []Copy
	for _, c := range j.copies {
		if c.Accepted && (j.e.Host == "" || strings.EqualFold(c.Host, j.e.Host)) {
			taken = append(taken, c)
		}
	}
	return taken
}

func (j *judgement) delivered() {
	taken := j.accepted()
	if len(taken) == 0 {
		j.miss("not delivered")
		return
	}
	j.timely(taken[0].Since)
	if f := j.fate; f != nil {
		if f.Disposition != mail.Delivered {
			j.miss("the sender says %s", f.Disposition)
		}
		if j.e.Host != "" && !strings.EqualFold(f.Host, j.e.Host) {
			j.miss("the sender says by %s", f.Host)
		}
	}
	j.reason()
}

func (j *judgement) timely(at time.Duration) {
	took := at - j.sent
	if j.e.Within > 0 && took > j.e.Within || j.e.After > 0 && took < j.e.After {
		j.miss("after %s", showDuration(took))
	}
}

func (j *judgement) deferred() {
	if f := j.fate; f != nil {
		if f.Disposition != mail.Deferred {
			j.miss("the sender says %s", f.Disposition)
		}
	} else if len(j.refusals) == 0 && len(j.copies) == 0 {
		j.unseen = append(j.unseen, "that it is deferred")
	}
	if len(j.accepted()) > 0 {
		j.miss("it was taken")
	}
	j.reason()
}

// failed is for those that expired, too.
func (j *judgement) failed() {
	if f := j.fate; f != nil {
		if f.Disposition != mail.Failed {
			j.miss("the sender says %s", f.Disposition)
		} else if f.Expired != (j.e.Fate == Expired) {
			j.miss("the sender says that it was refused, not that its time was over")
			if f.Expired {
				j.missed[len(j.missed)-1] = "the sender says that its time was over"
			}
		}
	} else {
		j.failedByReport()
	}
	j.reason()
}

// failedByReport judges without the sender's account: by its report, or by a refusal for good.
func (j *judgement) failedByReport() {
	reported := slices.ContainsFunc(j.reports, func(r Report) bool { return r.Action == "failed" })
	refused := slices.ContainsFunc(j.refusals, func(r Refusal) bool { return strings.HasPrefix(r.Reply, "5") }) ||
		slices.ContainsFunc(j.copies, func(c Copy) bool { return strings.HasPrefix(c.Reply, "5") })
	switch {
	case reported, refused && j.e.Fate == Failed:
	case j.reportable:
		j.miss("no report that it failed has come")
	default:
		j.unseen = append(j.unseen, "that it is "+j.e.Fate)
	}
}

// reason compares the status and the words.
func (j *judgement) reason() {
	if j.e.Status.IsZero() && j.e.Says == "" {
		return
	}
	statuses, texts := j.reasons()
	if len(texts) == 0 {
		j.unseen = append(j.unseen, "the reason")
		return
	}
	if !j.e.Status.IsZero() && !slices.Contains(statuses, j.e.Status) {
		j.miss("no status %s", j.e.Status)
	}
	says := strings.ToLower(j.e.Says)
	if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), says) }) {
		j.miss("nothing says %q", j.e.Says)
	}
}

// reasons are those that the sender gives, in person or by report, else those that the hosts gave.
func (j *judgement) reasons() (statuses []mail.Status, texts []string) {
	if f := j.fate; f != nil {
		return []mail.Status{f.Status}, []string{f.Text}
	}
	for _, r := range j.reports {
		if r.Action != "delayed" || j.e.Fate == Deferred {
			statuses, texts = append(statuses, r.Status), append(texts, r.Text)
		}
	}
	if len(texts) > 0 {
		return statuses, texts
	}
	replies := []string{}
	for _, r := range j.refusals {
		replies = append(replies, r.Reply)
	}
	for _, c := range j.copies {
		replies = append(replies, c.Reply)
	}
	for _, line := range replies {
		if code, ok := codeOf(line); ok {
			statuses, texts = append(statuses, mail.Reply{Code: code, Lines: []string{line}}.Status()), append(texts, line)
		}
	}
	return statuses, texts
}

func (j *judgement) attempts() {
	switch {
	case j.e.Attempts == 0:
	case j.fate == nil:
		j.unseen = append(j.unseen, "how many attempts there were")
	case j.fate.Attempts != j.e.Attempts:
		j.miss("attempts %d", j.fate.Attempts)
	}
}

func (j *judgement) dsn() {
	if j.e.DSN == nil {
		return
	}
	got := j.actions()
	if j.fate == nil && !j.reportable {
		j.unseen = append(j.unseen, "what is reported to the sender")
		return
	}
	want := j.e.DSN
	if want[0] == "none" {
		want = nil
	}
	if !slices.Equal(got, want) {
		j.miss("dsn %s", orNone(got))
	}
}

// actions are those that were reported, each once, sorted.
func (j *judgement) actions() []string {
	var got []string
	if j.fate != nil {
		got = slices.Clone(j.fate.DSN)
	} else {
		for _, r := range j.reports {
			got = append(got, r.Action)
		}
	}
	slices.Sort(got)
	return slices.Compact(got)
}

func (j *judgement) inDoubt() {
	unanswered := slices.ContainsFunc(j.copies, func(c Copy) bool { return c.Reply == "" })
	if !unanswered && (j.fate == nil || !j.fate.InDoubt) {
		j.miss("nothing is in doubt")
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " and ")
}

// codeOf is the code of a reply line.
func codeOf(line string) (int, bool) {
	if len(line) < 3 {
		return 0, false
	}
	code := 0
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		code = code*10 + int(c-'0')
	}
	return code, true
}
