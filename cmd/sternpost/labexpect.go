package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"sternpost/lab"
	"sternpost/mail"
)

type labExpectCommand struct {
	labPlace
	Expectations []string `arg:"" optional:"" name:"expectation" help:"Lines as in a scenario. Without them: those of the scenario."`
	Within       string   `default:"10s" placeholder:"10s" help:"How long to wait for what has not happened yet."`
}

func (labExpectCommand) Help() string {
	return `An expectation says what becomes of a recipient: delivered, failed, expired, deferred or not delivered, and any of: by HOST, within TIME, after TIME, copies N, in doubt, a status, a "text", dsn WHAT. The lab judges by what its hosts were given, what they answered, and the reports (DSN) that came back. It cannot know how many attempts a sender made; where a scenario says so, lab run does.

Times count from the start of the lab, or from when the scenario sends the message. It waits until all are met; where something must not happen (not delivered, copies, dsn none) it watches for the whole time.

Exit status: 0 all are met; 69 one is not; 65 a line is wrong, or no lab can judge it; 75 no lab has run.

Examples:

    sternpost lab expect "you@example.test delivered by mx2.example.test"
    sternpost lab expect --within 2m 'bad@example.test failed 5.1.1 "no such user"; dsn failed'`
}

// expected is the JSON of lab expect.
type expected struct {
	Met      bool          `json:"met"`
	Verdicts []lab.Verdict `json:"expectations"`
}

func (l labExpectCommand) Run(sh *shell) error {
	within, err := lab.ParseDuration(l.Within)
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("--within: %w", err))
	}
	w, err := l.read()
	if err != nil {
		return err
	}
	asked, err := l.asked(w)
	if err != nil {
		return withCode(exitInput, err)
	}
	ctx, stop := signal.NotifyContext(sh.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	verdicts, err := l.wait(ctx, asked)
	if err != nil {
		return err
	}
	told := expected{Met: true, Verdicts: verdicts}
	for _, v := range verdicts {
		told.Met = told.Met && v.Met
		if len(v.Unseen) > 0 && len(l.Expectations) > 0 {
			return withCode(exitInput, fmt.Errorf("%q: a lab cannot know %s; the sender can, as in `sternpost lab run`", v.Expectation.Text, strings.Join(v.Unseen, " and ")))
		}
	}
	if err := told.print(sh); err != nil {
		return err
	}
	if !told.Met {
		return quietly(exitFailed)
	}
	return nil
}

// question is one expectation, and when its message is sent.
type question struct {
	expectation lab.Expectation
	sent        time.Duration
}

// asked are the lines of the command, else those of the scenario.
func (l labExpectCommand) asked(w *lab.Written) ([]question, error) {
	var list []question
	for _, line := range l.Expectations {
		e, err := lab.ParseExpectation(line)
		if err != nil {
			return nil, err
		}
		list = append(list, question{expectation: e})
	}
	if len(list) > 0 {
		return list, nil
	}
	s, err := lab.Parse(w.About.Scenario, w.About.Text)
	if err != nil {
		return nil, err
	}
	for _, e := range s.Expectations() {
		list = append(list, question{e, s.Messages[e.Message-1].At})
	}
	if len(list) == 0 {
		return nil, errors.New("the scenario expects nothing: say what you expect")
	}
	return list, nil
}

// wait judges again and again until all is met, the lab has ended, or the time is over.
func (l labExpectCommand) wait(ctx context.Context, asked []question) ([]lab.Verdict, error) {
	const pause = 100 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	judged := int64(-1) // the size of the record that verdicts are of
	var verdicts []lab.Verdict
	enough := false
	for {
		w, err := l.read()
		if err != nil {
			return nil, err
		}
		if size, err := w.Size(); err != nil {
			return nil, err
		} else if size != judged {
			judged = size
			if verdicts, enough, err = judgeRecord(w, asked); err != nil {
				return nil, err
			}
		}
		if enough || !w.Running || ctx.Err() != nil {
			return verdicts, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// judgeRecord is enough when all is met and nothing that comes can change that.
func judgeRecord(w *lab.Written, asked []question) (verdicts []lab.Verdict, enough bool, err error) {
	sight, err := w.Sight(reportsOf)
	if err != nil {
		return nil, false, err
	}
	enough = true
	for _, q := range asked {
		v := sight.Check(q.expectation, q.sent, nil)
		enough = enough && v.Met && !q.expectation.Lasting()
		verdicts = append(verdicts, v)
	}
	return verdicts, enough, nil
}

func (e expected) print(sh *shell) error {
	if sh.json {
		return printJSON(sh.stdout, e)
	}
	p := paintFor(sh.stdout, sh.environ)
	var b strings.Builder
	for _, v := range e.Verdicts {
		mark := p.good("met   ")
		if !v.Met {
			mark = p.bad("missed")
		}
		fmt.Fprintf(&b, "%s  %s\n", mark, mail.Escape(v.Expectation.Text))
		if !v.Met {
			fmt.Fprintf(&b, "        seen: %s\n", plain(v.Seen))
		}
	}
	_, err := io.WriteString(sh.stdout, b.String())
	return err
}
