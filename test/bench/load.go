//go:build bench

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"
)

// clientVariable holds the load for a program that is our own client.
const clientVariable = "STERNPOST_BENCH_CLIENT"

// load is what our client hands in. It is this program, started again, so that its CPU time is told apart from all else.
type load struct {
	Address  string
	Sender   string // empty: sender@bench.test
	Sessions int
	Messages int
	Domain   string // of the recipients; %d stands for a number below Domains
	Domains  int
	File     string // the message, with bare LF
	Way      string // of the door; empty: SMTP at Address
	Home     string // the directory of the agent, for the other doors
	Binary   string // the program with the command, for that door
	Step     int    // after so many accepted messages it tells the time; 0: it does not
}

// mark is the time at which so many messages had been accepted; of none, that of the beginning.
type mark struct {
	accepted int
	at       time.Time
}

func (l load) command() (*exec.Cmd, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), clientVariable+"="+string(text))
	command.Stderr = os.Stderr
	return command, nil
}

// run hands all in, and passes each mark on as soon as it is there.
func (l load) run(each func(mark) error) ([]mark, error) {
	command, err := l.command()
	if err != nil {
		return nil, err
	}
	said, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	var marks []mark
	for lines := bufio.NewScanner(said); err == nil && lines.Scan(); {
		var m mark
		var nanoseconds int64
		if _, err = fmt.Sscan(lines.Text(), &m.accepted, &nanoseconds); err == nil {
			m.at = time.Unix(0, nanoseconds)
			marks = append(marks, m)
			err = each(m)
		}
	}
	if err != nil {
		return nil, errors.Join(err, command.Process.Kill(), command.Wait())
	}
	return marks, command.Wait()
}

// rate is how many messages a second were accepted between the marks next to these numbers.
func rate(marks []mark, from, to int) float64 {
	next := func(n int) mark {
		at := slices.IndexFunc(marks, func(m mark) bool { return m.accepted >= n })
		return marks[max(0, at)]
	}
	first, last := next(from), next(to)
	return float64(last.accepted-first.accepted) / last.at.Sub(first.at).Seconds()
}

// worked is the CPU time that a program took which has ended.
func worked(command *exec.Cmd) time.Duration {
	return command.ProcessState.UserTime() + command.ProcessState.SystemTime()
}
