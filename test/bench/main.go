//go:build bench

// Bench measures how fast mail goes through, in one run on one machine: with no mail server at all, with Postfix as it comes, and
// with `sternpost serve`, which syncs every message to the disk before it answers 250. In other modes it measures what the agent
// is like with a deep queue (-depth) and among servers that stall (-tarpits), what each door takes in (-doors),
// and how it answers questions about the past under load (-questions).
//
// Debian's smtp-sink takes. Debian's smtp-source sends to one domain; to 1,000 domains, which it cannot do, a client of ours sends in
// the same way. Both servers find the sink by MX, from NSD, on port 25. Each gets a directory of its own on the same disk. Nothing of
// the machine is changed: test/interop/setup.sh unpacks the programs, and they run in namespaces of their own. It needs root:
//
//	test/interop/setup.sh
//	go run -tags bench ./test/bench -runs 3
//	go run -tags bench ./test/bench -depth 1000000 -tarpits 500
//	go run -tags bench ./test/bench -doors
//	go run -tags bench ./test/bench -questions 100000
//
// What the numbers of the comparison are; they pass and fail nothing:
//
//   - The rate: messages divided by the time from the start of the sender to the last dot at the sink. Starting is a few milliseconds
//     more than from the first MAIL. Afterwards the sink must have counted every message once, and the queue must be empty.
//   - CPU seconds per 1000 messages: user and system time of the server's processes, from before the first message until the queue
//     is empty. The sink and the DNS server are not in it; the sender has a number of its own, since it takes its share of the machine.
//   - Peak memory: VmHWM, summed over the processes that the server has at the end of the run, with each page that several share
//     counted once (by Pss of smaps_rollup).
//
// The other modes have limits, those of issue 3: each is printed with what was measured, and the exit status is 1 when one is missed.
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
)

// options are the flags.
type options struct {
	messages    int
	many        int
	manyPostfix bool
	sessions    int
	runs        int
	only        string
	depth       int
	tarpits     int
	doors       bool
	questions   int
	dir         string
	keep        bool
}

func flags() options {
	var o options
	flag.IntVar(&o.messages, "messages", 10_000, "messages in a run")
	flag.IntVar(&o.many, "many", 0, "messages in one further run with a single domain, without Postfix; 0: no such run")
	flag.BoolVar(&o.manyPostfix, "many-postfix", false, "the run with -many messages for Postfix too, with the better number of sessions")
	flag.IntVar(&o.sessions, "sessions", 50, "SMTP sessions of the sender")
	flag.IntVar(&o.runs, "runs", 3, "how often each case is run, in turns")
	flag.StringVar(&o.only, "only", "", "names of the servers to run, without their own commas and with commas between; empty: all")
	flag.IntVar(&o.depth, "depth", 0, "in place of the comparison, queue so many messages for a dead destination")
	flag.IntVar(&o.tarpits, "tarpits", 0, "in place of the comparison, queue messages for so many destinations that stall")
	flag.BoolVar(&o.doors, "doors", false, "in place of the comparison, hand messages in through each door")
	flag.IntVar(&o.questions, "questions", 0, "in place of the comparison, ask about the past with so many entries in the journal")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "the disk for the queues")
	flag.BoolVar(&o.keep, "keep", false, "keep the directories and let Postfix log there")
	flag.Parse()
	return o
}

func main() {
	if text := os.Getenv(clientVariable); text != "" {
		end(clientMain(text))
	}
	o := flags()
	dir := os.Getenv(insideVariable)
	if dir == "" {
		os.Exit(enter(o))
	}
	end(measure(o, dir))
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// measure does what the flags say.
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
	if o.depth == 0 && o.tarpits == 0 && !o.doors && o.questions == 0 {
		return b.compare()
	}
	if o.doors {
		if err := b.measureDoors(); err != nil {
			return err
		}
	}
	if o.questions > 0 {
		if err := b.measureQuestions(); err != nil {
			return err
		}
	}
	if o.depth > 0 {
		err = b.measureDepth()
	}
	if o.tarpits > 0 {
		err = errors.Join(err, b.measureTarpits())
	}
	return err
}
