//go:build bench

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The doors, and what they are compared with.
const (
	plainGoSMTP = "go-smtp that discards"
	doorSMTP    = "SMTP"
	doorHTTP    = "HTTP, MIME"
	doorJSON    = "HTTP, JSON"
	doorCommand = "sendmail"
)

// discard is the program that discards, in the directory of the run.
const discard = "discard"

// entry is a case: a door, and how many messages go through it. Starting a process for each is slow enough for fewer of them.
type entry struct {
	name     string
	messages int
	load     func(b *bed, s *server) load
}

func (b *bed) entries() []entry {
	over := func(way string) func(*bed, *server) load {
		return func(b *bed, s *server) load {
			return load{
				Address: s.address, Sessions: b.sessions, Domain: deadDomain, Domains: 1, File: b.message,
				Way: way, Home: s.home, Binary: os.Getenv(binaryVariable),
			}
		}
	}
	return []entry{
		{plainGoSMTP, b.messages, over("")},
		{doorSMTP, b.messages, over("")},
		{doorHTTP, b.messages, over(wayHTTP)},
		{doorJSON, b.messages, over(wayJSON)},
		{doorCommand, b.messages / 10, over(wayCommand)},
	}
}

// through is what one run through a door showed.
type through struct {
	door     string
	messages int
	took     time.Duration
	cpu      time.Duration // of the server
	sender   time.Duration // of the client and its children
}

func (r through) rate() float64 { return float64(r.messages) / r.took.Seconds() }

func (r through) effort() float64 { return float64(r.cpu.Microseconds()) / float64(r.messages) }

func (r through) String() string {
	return fmt.Sprintf("%-22s %6d messages  %7.0f/s  server %6.0f us of CPU a message  client %6.0f us",
		r.door, r.messages, r.rate(), r.effort(), float64(r.sender.Microseconds())/float64(r.messages))
}

// measureDoors hands messages of 5,000 octets in through each door. They are for a dead destination, so that what is measured is taking them and nothing else: from the first octet until the last
// answer that it would survive a crash. Whoever is compared with discards them.
func (b *bed) measureDoors() error {
	var all []through
	for n := range b.runs {
		for _, e := range b.entries() {
			r, err := b.enterBy(e, filepath.Join(b.dir, fmt.Sprintf("door-%d-%s", n, strings.NewReplacer(" ", "", ",", "").Replace(e.name))))
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			fmt.Println(r)
			all = append(all, r)
		}
	}
	fmt.Println("\nmedians, and their ratios to", plainGoSMTP)
	base := medians(all, plainGoSMTP)
	for _, e := range b.entries() {
		m := medians(all, e.name)
		fmt.Printf("%-22s %7.0f messages/s (%.2f)  %6.0f us of CPU a message (%.2f)\n", e.name, m.rate, m.rate/base.rate, m.effort, m.effort/base.effort)
	}
	return nil
}

type middle struct{ rate, effort float64 }

func medians(all []through, door string) middle {
	var rates, efforts []float64
	for _, r := range all {
		if r.door == door {
			rates, efforts = append(rates, r.rate()), append(efforts, r.effort())
		}
	}
	slices.Sort(rates)
	slices.Sort(efforts)
	return middle{median(rates), median(efforts)}
}

// enterBy is one run of a case with a server of its own.
func (b *bed) enterBy(e entry, dir string) (r through, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return r, err
	}
	start := startSternpost
	if e.name == plainGoSMTP {
		start = startDiscard
	}
	s, err := start(b, dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	l := e.load(b, s)
	l.Messages = max(e.messages/10, b.sessions)
	if _, err := l.enter(); err != nil { // connections, pages, the garbage collector and the store warm up
		return r, err
	}
	before, err := s.usage()
	if err != nil {
		return r, err
	}
	l.Messages = e.messages
	if r, err = l.enter(); err != nil {
		return r, err
	}
	after, err := s.usage()
	r.door, r.cpu = e.name, after.cpu-before.cpu
	return r, err
}

// enter runs the client to its end.
func (l load) enter() (through, error) {
	command, err := l.command()
	if err != nil {
		return through{}, err
	}
	began := time.Now()
	if err := command.Run(); err != nil {
		return through{}, err
	}
	return through{messages: l.Messages, took: time.Since(began), sender: worked(command)}, nil
}

// startDiscard starts what the doors are compared with.
func startDiscard(b *bed, dir string) (*server, error) {
	p, err := launch(dir, filepath.Join(b.dir, discard), sternpostAddress)
	if err != nil {
		return nil, err
	}
	s := &server{program: p, address: sternpostAddress}
	if err := p.greets(sternpostAddress); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return s, nil
}
