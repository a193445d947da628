//go:build bench

// Bench measures how fast mail goes through, in one run on one machine: with no mail server at all, with Postfix as it comes, and
// with `sternpost serve`, which syncs every message to the disk before it answers 250.
//
// Debian's smtp-source sends; smtp-sink takes. Both servers find the sink by MX, from NSD, on port 25. Each gets a directory of its
// own on the same disk. Nothing of the machine is changed: test/interop/setup.sh unpacks the programs, and they run in namespaces of
// their own. It needs root:
//
//	test/interop/setup.sh
//	go run -tags bench ./test/bench -runs 3
//
// What the numbers are:
//
//   - The rate: messages divided by the time from the start of smtp-source to the last dot at the sink. Starting is a few
//     milliseconds more than from the first MAIL. Afterwards the sink must have counted every message once, and the queue must be
//     empty.
//   - CPU seconds per 1000 messages: user and system time of the server's processes, from before the first message until the queue
//     is empty. The sender, the sink and the DNS server are not in it.
//   - Peak memory: VmHWM, summed over the processes that the server has at the end of the run, with each page that several share
//     counted once (by Pss of smaps_rollup).
//
// Postfix keeps no log here, because no syslog daemon runs: in its favour. What Sternpost logs goes into a file.
// STERNPOST_INTEROP_BIN names a binary to measure in place of one built from this tree, and STERNPOST_INTEROP_CACHE another cache
// directory.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// options are the flags.
type options struct {
	messages int
	sessions int
	runs     int
	only     string
	dir      string
	keep     bool
}

func flags() options {
	var o options
	flag.IntVar(&o.messages, "messages", 10_000, "messages in a run")
	flag.IntVar(&o.sessions, "sessions", 50, "SMTP sessions of the sender")
	flag.IntVar(&o.runs, "runs", 3, "how often each case is run, in turns")
	flag.StringVar(&o.only, "only", "", "names of the cases to run, with commas between; empty: all")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "the disk for the queues")
	flag.BoolVar(&o.keep, "keep", false, "keep the directories and let Postfix log there")
	flag.Parse()
	return o
}

// one is a case: a server, or none, and the number of sessions with it.
type one struct {
	name     string
	sessions int
	start    func(b *bed, dir string) (*server, error)
}

func (o options) cases() []one {
	all := []one{
		{"no MTA", o.sessions, none},
		{"Postfix", o.sessions, startPostfix},
		{"Postfix, 10 sessions", 10, startPostfix},
		{"Sternpost", o.sessions, startSternpost},
	}
	if o.only == "" {
		return all
	}
	wanted := strings.Split(o.only, ",")
	return slices.DeleteFunc(all, func(c one) bool { return !slices.Contains(wanted, c.name) })
}

func main() {
	o := flags()
	dir := os.Getenv(insideVariable)
	if dir == "" {
		os.Exit(enter(o))
	}
	if err := measure(o, dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure runs every case so many times, in turns, so that what else the machine does falls on all of them.
func measure(o options, dir string) (err error) {
	if err := furnish(); err != nil {
		return fmt.Errorf("cannot set up the namespaces: %w", err)
	}
	b, err := newBed(dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	latency, err := syncLatency(dir)
	if err != nil {
		return err
	}
	fmt.Println(machine(latency))

	var results []result
	for run := range o.runs {
		for i, c := range o.cases() {
			r, err := b.run(c, filepath.Join(dir, fmt.Sprintf("%d-%d", run, i)))
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Println(r)
			results = append(results, r)
		}
	}
	fmt.Print(summary(o.cases(), results))
	return nil
}
