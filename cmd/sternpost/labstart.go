package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"sternpost/lab"
)

type labStartCommand struct {
	labPlace
	Scenario string `arg:"" optional:"" help:"The name of a scenario, or a file. Without it they are listed."`
	Port     int    `default:"2525" help:"The port of all mail servers."`
	DNS      string `name:"dns" default:"127.0.0.1:5300" placeholder:"ADDRESS:PORT" help:"Where the DNS server listens."`
	For      string `placeholder:"TIME" help:"End by itself after this time, as in 90s or 2h."`
	Verbose  bool   `short:"v" help:"Show every line of each reply."`
}

func (labStartCommand) Help() string {
	return `Starts a DNS server with the zone of the scenario, and at each of its addresses a mail server that behaves as the scenario says. They listen on loopback addresses only, and need no root. It prints what to set for a program that is to live in this world, and shows what arrives and what is answered. What is received is kept until the next lab starts: see lab list, show, save and expect.

Ctrl-C, SIGTERM, the end of the terminal or --for ends it, with a report: what each host saw, and which expectations of the scenario are met.

Exit status: 0 all expectations are met, or there are none; 69 one is not; 65 the scenario is wrong; 75 it cannot start, as when another lab runs.

Examples:

    sternpost lab primary-down
    sternpost lab ./mine.toml --for 60s --json
    sternpost lab greylisted --port 2526 --dns 127.0.0.1:5301 --directory ./other`
}

// Run runs the lab.
func (l labStartCommand) Run(sh *shell) error {
	if l.Scenario == "" {
		return listScenarios(sh)
	}
	length, err := l.length()
	if err != nil {
		return withCode(exitUsage, err)
	}
	s, err := loadScenario(l.Scenario)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(sh.ctx)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	return l.run(ctx, sh, s)
}

// length is how long the lab runs; 0: until it is ended.
func (l labStartCommand) length() (time.Duration, error) {
	if _, err := netip.ParseAddrPort(l.DNS); err != nil {
		return 0, fmt.Errorf("--dns: %q is not ADDRESS:PORT, as in 127.0.0.1:5300", l.DNS)
	}
	if at := netip.MustParseAddrPort(l.DNS); !at.Addr().IsLoopback() {
		return 0, fmt.Errorf("--dns: %s is not a loopback address, and a lab is for this machine alone", at.Addr())
	}
	if l.Port < 0 || l.Port > 65535 {
		return 0, fmt.Errorf("--port: %d is no port", l.Port)
	}
	if l.For == "" {
		return 0, nil
	}
	length, err := lab.ParseDuration(l.For)
	if err == nil && length == 0 {
		err = errors.New("longer than nothing is meant")
	}
	if err != nil {
		return 0, fmt.Errorf("--for: %w", err)
	}
	return length, nil
}

func (l labStartCommand) run(ctx context.Context, sh *shell, s lab.Scenario) (err error) {
	directory, err := l.own()
	if err != nil {
		return withCode(exitAgain, err)
	}
	record, err := lab.NewRecord(directory)
	if err != nil {
		return withCode(exitAgain, err)
	}
	live := newLabLive(sh, s, l)
	world, err := lab.Open(s, lab.Loopback(l.Port, l.DNS), lab.WithReports(reportsOf), lab.Watch(func(e lab.Event) {
		record.Write(e)
		live.event(e)
	}))
	if err != nil {
		return withCode(exitAgain, errors.Join(err, record.Close()))
	}
	about := lab.About{Scenario: s.Name, Title: s.Title, Began: world.Began(), DNS: world.DNS().Addr(), Port: world.Port(), PID: os.Getpid(), Text: s.Text}
	if err = record.Describe(about); err == nil {
		err = live.started(newLabStarted(about, directory, s))
	}
	if err == nil {
		live.screen.begin() // what has happened so far is told behind the introduction
		<-ctx.Done()
	}
	err = errors.Join(err, world.Close(), record.Err(), record.Close()) // a terminal that has stopped keeps no other lab from the record
	live.screen.close()
	told := world.Report()
	if err = errors.Join(err, live.report(told)); err != nil {
		return withCode(exitAgain, err)
	}
	if !told.Met() {
		return quietly(exitFailed)
	}
	return nil
}

// labStarted is the first line of JSON of a lab, and what its introduction is told from.
type labStarted struct {
	lab.About
	Directory string `json:"directory"`
	Hostname  string `json:"hostname"` // for the agent
	prefixes  string // of the addresses that its hosts have
}

func newLabStarted(about lab.About, directory string, s lab.Scenario) labStarted {
	var has []string
	for _, p := range labPrefixes() {
		if slices.ContainsFunc(s.Hosts, func(h lab.Host) bool { return p.Contains(h.Address) }) {
			has = append(has, p.String())
		}
	}
	return labStarted{About: about, Directory: directory, Hostname: s.AgentName(), prefixes: strings.Join(has, ",")}
}

// settings are the keys that lead an agent into the lab, with their values as the environment has them.
func (s labStarted) settings() [][2]string {
	return [][2]string{
		{"resolver.servers", s.DNS},
		{"delivery.port", fmt.Sprint(s.Port)},
		{"delivery.allow_addresses", s.prefixes},
		{"delivery.hostname", s.Hostname},
	}
}

// environment is the settings as lines for a shell.
func (s labStarted) environment(w io.Writer) {
	for _, line := range s.settings() {
		fmt.Fprintf(w, "export STERNPOST_%s=%s\n", strings.ToUpper(strings.ReplaceAll(line[0], ".", "_")), line[1])
	}
}

type labEnvCommand struct{ labPlace }

func (labEnvCommand) Help() string {
	return `Prints lines that a shell runs, so that the commands of Sternpost in that shell live in the world of the running lab.

Exit status: 75 where no lab runs.

Example:

    eval "$(sternpost lab env)"
    sternpost deliver -f app@client.test you@example.test < message.eml`
}

func (l labEnvCommand) Run(sh *shell) error {
	w, err := l.read()
	if err != nil {
		return err
	}
	directory, usual := l.directory()
	if !w.Running {
		return withCode(exitAgain, fmt.Errorf("the lab in %s has ended; start one with `sternpost lab SCENARIO`", directory))
	}
	s, err := lab.Parse(w.About.Scenario, w.About.Text)
	if err != nil {
		return err
	}
	started := newLabStarted(w.About, directory, s)
	if sh.json {
		return printJSON(sh.stdout, started)
	}
	started.environment(sh.stdout)
	if !usual {
		fmt.Fprintf(sh.stdout, "export STERNPOST_LAB_DIRECTORY=%s\n", shellQuoted(directory))
	}
	return nil
}

// shellQuoted is a text as one word of a shell.
func shellQuoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
