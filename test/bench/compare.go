//go:build bench

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names of the servers. Postfix comes twice, since its rate depends on the number of sessions in a way of its own.
const (
	noServer      = "no MTA"
	postfix       = "Postfix"
	postfixWith10 = "Postfix, 10 sessions"
	sternpost     = "Sternpost"
)

// one is a case: a server, or none, with so many sessions, and what is sent through it.
type one struct {
	name     string
	sessions int
	start    func(b *bed, dir string) (*server, error)
	traffic
	messages int
}

// servers are the cases of one traffic.
func (o options) servers(t traffic, messages int) []one {
	all := []one{
		{noServer, o.sessions, none, t, messages},
		{postfix, o.sessions, startPostfix, t, messages},
		{postfixWith10, 10, startPostfix, t, messages},
		{sternpost, o.sessions, startSternpost, t, messages},
	}
	if o.only == "" {
		return all
	}
	wanted := strings.Split(o.only, ",")
	return slices.DeleteFunc(all, func(c one) bool { return !slices.Contains(wanted, strings.ReplaceAll(c.name, ",", "")) })
}

// compare runs every case so many times, in turns, so that what else the machine does falls on all of them.
func (b *bed) compare() error {
	if err := b.openSink(); err != nil {
		return err
	}
	var results []result
	run := func(cases []one) error {
		for _, c := range cases {
			r, err := b.run(c, filepath.Join(b.dir, strconv.Itoa(len(results))))
			if err != nil {
				return fmt.Errorf("%s, %s: %w", c.name, c.traffic.name, err)
			}
			fmt.Println(r)
			results = append(results, r)
		}
		return nil
	}
	for range b.runs {
		for _, t := range traffics() {
			if err := run(b.servers(t, b.messages)); err != nil {
				return err
			}
		}
	}
	err := run(b.long(results))
	fmt.Print(summary(results))
	return err
}

// long are the cases with many messages. They are run once, and of Postfix only with the number of sessions that was better before:
// it needs minutes for them.
func (o options) long(before []result) []one {
	if o.many == 0 {
		return nil
	}
	other := postfix
	if better(only(before, func(r result) string { return r.traffic }, oneDomain().name)) == postfix {
		other = postfixWith10
	}
	return slices.DeleteFunc(o.servers(oneDomain(), o.many), func(c one) bool {
		return c.name == other || c.name == postfix && !o.manyPostfix || c.name == postfixWith10 && !o.manyPostfix
	})
}

// run measures one case, in a directory of its own.
func (b *bed) run(c one, dir string) (r result, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return r, err
	}
	s, err := c.start(b, dir)
	if err != nil {
		return r, err
	}
	if s.program != nil {
		defer func() { err = errors.Join(err, s.stop()) }()
	}
	// Postfix starts its processes now, and everybody knows the DNS answers afterwards.
	warm := c
	warm.messages = max(10*c.sessions, c.domains)
	if _, err := b.send(s, warm); err != nil {
		return r, err
	}
	if err := s.drained(); err != nil {
		return r, err
	}
	return b.measured(c, s)
}

// measured is the run itself, after all is warm.
func (b *bed) measured(c one, s *server) (result, error) {
	counted, err := b.counted()
	if err != nil {
		return result{}, err
	}
	before, err := s.usage()
	if err != nil {
		return result{}, err
	}
	r, err := b.send(s, c)
	if err != nil {
		return r, err
	}
	if err := s.drained(); err != nil {
		return r, err
	}
	after, err := s.usage()
	if err != nil {
		return r, err
	}
	r.cpu, r.memory = after.cpu-before.cpu, after.memory
	now, err := b.counted()
	if err == nil && now-counted != c.messages {
		err = fmt.Errorf("the sink counts %d messages for %d", now-counted, c.messages)
	}
	return r, err
}

// sender is the program that sends: Debian's for a single domain, else ours.
func (b *bed) sender(s *server, c one) (*exec.Cmd, error) {
	if c.domains > 1 {
		return load{
			Address: s.address, Sessions: c.sessions, Messages: c.messages, Domain: c.domain, Domains: c.domains, File: b.message,
		}.command()
	}
	source := exec.Command(smtpSource, "-d", "-s", strconv.Itoa(c.sessions), "-m", strconv.Itoa(c.messages), "-F", b.message,
		"-M", "bench.test", "-f", "sender@bench.test", "-t", "you@"+c.domain, s.address)
	source.Stdout, source.Stderr = os.Stderr, os.Stderr
	return source, nil
}

// send sends the messages of a case to its server and returns when the sink has counted them all: how long that took from the start
// of the sender, and what the sender used.
func (b *bed) send(s *server, c one) (result, error) {
	r := result{server: c.name, traffic: c.traffic.name, messages: c.messages}
	before, err := b.counted()
	if err != nil {
		return r, err
	}
	source, err := b.sender(s, c)
	if err != nil {
		return r, err
	}
	start := time.Now()
	if err := source.Start(); err != nil {
		return r, err
	}
	last, err := b.arrival(before, c.messages)
	if err != nil {
		return r, errors.Join(err, source.Process.Kill(), source.Wait())
	}
	r.took = last.Sub(start)
	if err := source.Wait(); err != nil {
		return r, err
	}
	r.sender = worked(source)
	return r, nil
}

// arrival returns when the sink has counted so many more messages than before.
func (b *bed) arrival(before, messages int) (time.Time, error) {
	last := time.Now()
	for reached, moved := before, last; reached < before+messages; {
		time.Sleep(2 * time.Millisecond)
		last = time.Now()
		now, err := b.counted()
		if err != nil {
			return last, err
		}
		if now != reached {
			reached, moved = now, last
		} else if last.Sub(moved) > patience {
			return last, fmt.Errorf("the sink counts %d of %d messages, and no more for %v", reached-before, messages, patience)
		}
	}
	return last, nil
}

// drained waits until the queue is empty.
func (s *server) drained() error {
	if s.program == nil {
		return nil
	}
	return s.await("an empty queue", s.empty)
}
