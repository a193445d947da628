package delivery

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"sternpost/mail"
)

// readTable reads the rows of the table below a heading of docs/failures.md.
func readTable(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/failures.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 2 {
		t.Fatalf("section %q has no table", heading)
	}
	return rows[1:]
}

// rule is one row of the first table.
type rule struct {
	text                             string
	stages                           []mail.Stage
	causes                           []cause
	reply                            []string // "4xx", "421", "5xx 5.7.10"
	condition                        string
	verdict, scope, status, rankWord string
	rank                             int
}

func readRules(t *testing.T) []rule {
	t.Helper()
	var rules []rule
	for _, row := range readTable(t, "1. A host that was tried") {
		r := rule{text: strings.Join(row, " | "), condition: row[2], verdict: row[3], scope: row[4], status: row[5]}
		number, word, _ := strings.Cut(row[6], " ")
		r.rankWord = word
		r.rank, _ = strconv.Atoi(number)
		for stage := range strings.SplitSeq(row[0], ", ") {
			if stage == "any" {
				r.stages = mail.Stages()
				continue
			}
			if !slices.Contains(mail.Stages(), mail.Stage(stage)) {
				t.Fatalf("%s: no such stage %q", r.text, stage)
			}
			r.stages = append(r.stages, mail.Stage(stage))
		}
		if replies, isReply := strings.CutPrefix(row[1], "reply "); isReply {
			r.causes, r.reply = []cause{causeReply}, strings.Split(replies, " or ")
		} else if row[1] == "any" {
			r.causes = allCauses()
		} else {
			for c := range strings.SplitSeq(row[1], ", ") {
				r.causes = append(r.causes, cause(c))
			}
		}
		rules = append(rules, r)
	}
	return rules
}

func allCauses() []cause {
	return []cause{
		causeReply, causeProtocol, causeTimeout, causeClosed, causeRefused, causeHandshake, causeNoTLS, causeAuth,
		causeTooLarge, causeNoUTF8, causeLocal,
	}
}

func (r rule) fits(e event) bool {
	return slices.Contains(r.stages, e.stage) && slices.Contains(r.causes, e.cause) && r.fitsReply(e) && r.fitsCondition(e)
}

func (r rule) fitsReply(e event) bool {
	if e.cause != causeReply || r.reply == nil {
		return true
	}
	code, status, _ := strings.Cut(strings.TrimSuffix(e.reply.Lines[0], " said"), " ")
	return slices.ContainsFunc(r.reply, func(want string) bool {
		wantCode, wantStatus, stated := strings.Cut(want, " ")
		class, isClass := strings.CutSuffix(wantCode, "xx")
		fits := wantCode == code || isClass && strings.HasPrefix(code, class)
		return fits && (!stated || wantStatus == status)
	})
}

func (r rule) fitsCondition(e event) bool {
	switch r.condition {
	case "":
		return true
	case "in doubt":
		return e.inDoubt
	case "smarthost":
		return e.smarthost
	case "after a failed handshake":
		return e.afterTLS
	}
	panic("unknown condition " + r.condition)
}

// possible lists every event that the engine can make: reply codes of all kinds at the stages that have replies, the other causes at all stages.
func possible() []event {
	var events []event
	for _, stage := range mail.Stages()[2:] { // nothing of this happens at resolve and policy, but for local trouble
		for _, c := range allCauses() {
			switch {
			case stage == mail.StageQuit:
			case c != causeReply && (c != causeRefused || stage == mail.StageConnect):
				events = append(events, event{stage: stage, cause: c, err: errors.New("x")})
			case c == causeReply && stage != mail.StageConnect:
				for _, line := range []string{"421", "421 4.7.0", "450", "451 4.7.1", "452 4.2.2", "530", "530 5.7.0", "535 5.7.8", "550", "550 5.7.10", "554 5.7.11", "554 5.7.1", "554 4.1.1"} {
					code, _ := strconv.Atoi(line[:3])
					events = append(events, event{stage: stage, cause: c, reply: mail.Reply{Code: code, Lines: []string{line + " said"}}})
				}
			}
		}
	}
	for _, e := range slices.Clone(events) {
		for _, variant := range []event{{inDoubt: true}, {smarthost: true}, {afterTLS: true}} {
			v := e
			v.inDoubt, v.smarthost, v.afterTLS = variant.inDoubt, variant.smarthost, variant.afterTLS
			events = append(events, v)
		}
	}
	return events
}

func TestClassifyFollowsTheDocument(t *testing.T) {
	rules := readRules(t)
	used := make([]bool, len(rules))
	for _, e := range possible() {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.fits(e) })
		if i < 0 {
			t.Errorf("no row of docs/failures.md fits %s", describe(e))
			continue
		}
		used[i] = true
		checkVerdict(t, rules[i], e)
	}
	for i, r := range rules {
		if !used[i] {
			t.Errorf("no event ever reaches the row: %s", r.text)
		}
	}
}

func describe(e event) string {
	return fmt.Sprintf("%s at %s %v (in doubt %v, smarthost %v, after TLS %v)", e.cause, e.stage, e.reply.Lines, e.inDoubt, e.smarthost, e.afterTLS)
}

func checkVerdict(t *testing.T, r rule, e event) {
	t.Helper()
	v := classify(e)
	final := v.disposition == mail.Failed
	if v.disposition == mail.Delivered || final != (r.verdict == "failed") {
		t.Errorf("%s: %s, the document says %s", describe(e), v.disposition, r.verdict)
	}
	if string(v.scope) != r.scope {
		t.Errorf("%s: scope %s, the document says %s", describe(e), v.scope, r.scope)
	}
	if want := r.wantStatus(e, final); v.status.String() != want {
		t.Errorf("%s: status %s, the document says %s (%s)", describe(e), v.status, want, r.status)
	}
	if v.rank+1 != r.rank {
		t.Errorf("%s: rank %d, the document says %d %s", describe(e), v.rank+1, r.rank, r.rankWord)
	}
}

func (r rule) wantStatus(e event, final bool) string {
	if r.status != "as stated" {
		return r.status
	}
	s := e.reply.Status()
	if !final {
		s[0] = 4
	}
	return s.String()
}

func TestClassifyTooManyRecipients(t *testing.T) {
	for _, row := range readTable(t, "3. Too many recipients") {
		line := strings.Trim(row[0], "`")
		code, _ := strconv.Atoi(line[:3])
		if got := tooManyRecipients(mail.Reply{Code: code, Lines: []string{line}}); got != (row[1] == "yes") {
			t.Errorf("%s: %v, the document says %s", line, got, row[1])
		}
	}
}

func TestEventIsAnSMTPError(t *testing.T) {
	e := &event{stage: mail.StageRcpt, cause: causeReply, reply: mail.Reply{Code: 550, Lines: []string{"550-5.1.1 no", "550 5.1.1 user"}}}
	var smtpError *smtp.SMTPError
	if !errors.As(error(e), &smtpError) {
		t.Fatal("a refusal is no *smtp.SMTPError")
	}
	if smtpError.Code != 550 || smtpError.EnhancedCode != (smtp.EnhancedCode{5, 1, 1}) || smtpError.Message != "no user" {
		t.Errorf("got %+v", smtpError)
	}
}
