//go:build bench

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sternpost/delivery/smtptest"
	"sternpost/journal"
	"sternpost/queue/spool"
)

const (
	wantedAnswer = time.Second // of each question, the slowest of its repetitions
	repetitions  = 10
	askers       = 4 // sessions that hand mail in while questions are asked
	// oneTenth are the recipients that the sink refuses: of a hundred domains those whose number ends in 7.
	oneTenth = `rcpt <.*@d[0-9]*7\.shared\.test> 550 5.1.1 no such user here`
	// entriesEach is how many entries of the journal a message has on average, at least: accepted and what became of it.
	entriesEach = 2
)

// inquiry asks an agent under load about the past.
type inquiry struct {
	*bed
	*server
	l limits
}

// measureQuestions fills the journal by real deliveries, of which a tenth fails, goes on handing mail in, and asks.
func (b *bed) measureQuestions() (err error) {
	listener, err := net.Listen("tcp", sinkAddress)
	if err != nil {
		return err
	}
	sink, err := smtptest.Start("keep no-content\n"+oneTenth, listener)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	home := filepath.Join(b.dir, "questions")
	s, err := firstStart(home, "")
	if err != nil {
		return err
	}
	q := &inquiry{bed: b, server: s}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, s.stop())
		}
	}()
	if err := q.fill(); err != nil {
		return err
	}
	if err := q.underLoad(); err != nil {
		return err
	}
	stopped = true
	if err := s.stop(); err != nil {
		return err
	}
	if err := scan(filepath.Join(home, "queue")); err != nil {
		return err
	}
	return q.l.verdict()
}

// load is what is handed in: from an address that gets its reports, to a hundred domains.
func (q *inquiry) load(messages, sessions int) load {
	return load{Address: q.address, Sender: "sender@" + domain, Sessions: sessions, Messages: messages, Domain: sharedDomains, Domains: 100, File: q.small}
}

// fill hands mail in, and waits until all of it has an end.
func (q *inquiry) fill() error {
	messages := q.questions / entriesEach
	began := time.Now()
	if _, err := q.load(messages, q.sessions).run(func(mark) error { return nil }); err != nil {
		return err
	}
	if err := q.await("an empty queue", q.empty); err != nil {
		return err
	}
	fmt.Printf("questions: %d messages of %d octets have gone through in %s; a tenth was refused, and their sender got reports\n", messages, sizeOf(q.small), short(time.Since(began)))
	return nil
}

// underLoad asks everything while mail goes through.
func (q *inquiry) underLoad() error {
	command, err := q.load(1<<30, askers).command()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	err = q.askAll()
	return errors.Join(err, command.Process.Kill(), ended(command))
}

// ended waits for a program that was killed.
func ended(command *exec.Cmd) error {
	if err := command.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return err
	}
	return nil
}

func (q *inquiry) askAll() error {
	told, err := q.someFailure()
	if err != nil {
		return err
	}
	before, err := q.at(0)
	if err != nil {
		return err
	}
	entries, everything, err := q.readAll()
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Printf("a reading of everything over /v1/events, under the same load: %s for %d entries\n", short(everything), entries)
	for _, args := range [][]string{
		{"version"}, {"why", told.Message}, {"why", told.Recipient}, {"why", told.Domain}, {"bounces"}, {"bounces", "--csv"}, {"bounces", "summary"},
	} {
		name := strings.NewReplacer(told.Message, "ID", told.Recipient, "ADDRESS", told.Domain, "DOMAIN").Replace(strings.Join(args, " "))
		if err := q.ask(name, args, everything); err != nil {
			return err
		}
	}
	more, _, err := q.readAll()
	if err != nil {
		return err
	}
	after, err := q.at(0)
	if err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("meanwhile the journal grew by %d entries, %.0f a second, of which a message makes two and one that fails four\n", more-entries, float64(more-entries)/took.Seconds())
	growth := float64(after.peak) / float64(before.peak)
	fmt.Printf("memory: %.1f MB resident before the questions, %.1f MB after; at most %.1f MB and %.1f MB so far\n",
		megabytes(before.resident), megabytes(after.resident), megabytes(before.peak), megabytes(after.peak))
	q.l.check("most memory after the questions / before", fmt.Sprintf("%.2f", growth), fmt.Sprintf("<= %.1f", wantedGrowth), growth <= wantedGrowth)
	return nil
}

// ask puts one question a few times, each by a process of its own, as a person does.
func (q *inquiry) ask(name string, args []string, everything time.Duration) error {
	var took []time.Duration
	octets := 0
	for range repetitions {
		began := time.Now()
		out, err := q.command(args...)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took = append(took, time.Since(began))
		octets = len(out)
	}
	slices.Sort(took)
	middle, slowest := percentile(took, 50), percentile(took, 100)
	what := fmt.Sprintf("%s: %d octets, p50 %s (%.2f of a reading of everything), max", name, octets, short(middle), float64(middle)/float64(everything))
	q.l.check(what, short(slowest), "<= "+wantedAnswer.String(), slowest <= wantedAnswer)
	return nil
}

func (q *inquiry) command(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, os.Getenv(binaryVariable), append(args, "--config", filepath.Join(q.home, "sternpost.toml"))...)
	command.Stderr = os.Stderr
	return command.Output()
}

// failed is a failure that is asked about.
type failed struct{ Message, Recipient, Domain string }

// someFailure is one from the middle of the journal.
func (q *inquiry) someFailure() (failed, error) {
	text, err := q.command("bounces", "--json")
	if err != nil {
		return failed{}, err
	}
	var list struct{ Bounces []failed }
	if err := json.Unmarshal(text, &list); err != nil {
		return failed{}, err
	}
	if len(list.Bounces) == 0 {
		return failed{}, errors.New("nothing has failed")
	}
	fmt.Printf("%d failures are in the journal when the questions begin\n", len(list.Bounces))
	return list.Bounces[len(list.Bounces)/2], nil
}

// readAll reads the journal as one has to who looks for something that is not indexed: every entry, up to those of now.
func (q *inquiry) readAll() (entries int, took time.Duration, err error) {
	began := time.Now()
	answer, err := asking(filepath.Join(q.home, "queue", "sternpost.sock")).Get("http://sternpost/v1/events?since=24h")
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("/v1/events: %s", answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		text, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var e struct{ Time time.Time }
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return 0, 0, err
		}
		if entries++; e.Time.After(began) {
			return entries, time.Since(began), nil
		}
	}
	return 0, 0, fmt.Errorf("/v1/events ended after %d entries: %w", entries, lines.Err())
}

// scan reads the journal of an agent that has stopped, with nothing between.
func scan(directory string) (err error) {
	store, err := spool.OpenDirectory(spool.Config{Directory: directory, JournalDays: 30}, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, brief := range []bool{true, false} {
		began, n := time.Now(), 0
		for _, err := range store.Journal().Find(context.Background(), journal.Query{Brief: brief}) {
			if err != nil {
				return err
			}
			n++
		}
		fmt.Printf("afterwards, the agent stopped: all %d entries were read from the store in %s (trees of attempts: %t)\n", n, short(time.Since(began)), !brief)
	}
	return nil
}
