package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sternpost/lab"
	"sternpost/mail"
)

type labCommand struct {
	Start      labStartCommand      `cmd:"" default:"withargs" help:"Start a scenario, or list them all. What lab alone does."`
	Run        labRunCommand        `cmd:"" help:"Run a scenario with the agent inside, days in seconds, and judge it."`
	Print      labPrintCommand      `cmd:"" help:"Print the file of a scenario, to read or to change."`
	Behaviours labBehavioursCommand `cmd:"" help:"List what the hosts of a scenario can do."`
	Env        labEnvCommand        `cmd:"" help:"Print what leads Sternpost into the running lab, for a shell."`
	List       labListCommand       `cmd:"" help:"List the mail that the running lab has received."`
	Show       labShowCommand       `cmd:"" help:"Show one message that was received."`
	Save       labSaveCommand       `cmd:"" help:"Save what was received as .eml files."`
	Expect     labExpectCommand     `cmd:"" help:"Check by what was received, for scripts and tests."`
}

func (labCommand) Help() string {
	return `A lab is a fake internet on this machine: a DNS server with the zone of a scenario, and a mail server that is up, down, slow or rude at each of its addresses.

Examples:

    sternpost lab                       # the scenarios
    sternpost lab primary-down          # start one
    sternpost lab run five-days-down    # the agent within, in seconds
    sternpost lab print primary-down > mine.toml
    sternpost lab mine.toml`
}

// labPlace is where a lab writes what happens, for the other commands.
type labPlace struct {
	Directory string `placeholder:"DIR" env:"STERNPOST_LAB_DIRECTORY" help:"Where the lab keeps what it receives. Without it: sternpost-lab in XDG_RUNTIME_DIR, else in the directory for temporary files."`
}

// directory is the place, and whether it is the usual one.
func (p labPlace) directory() (path string, usual bool) {
	if p.Directory != "" {
		return p.Directory, false
	}
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
		return filepath.Join(runtime, "sternpost-lab"), true
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("sternpost-lab-%d", os.Getuid())), true
}

// own refuses the usual directory where another user was there first: in the directory for temporary files anybody may be.
func (p labPlace) own() (string, error) {
	path, usual := p.directory()
	if !usual {
		return path, nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s is not a directory of this user alone; choose another with --directory", path)
	}
	return path, nil
}

// read opens what a lab has written.
func (p labPlace) read() (*lab.Written, error) {
	path, _ := p.directory()
	w, err := lab.ReadRecord(path)
	if err != nil {
		return nil, withCode(exitAgain, fmt.Errorf("%w; start one with `sternpost lab SCENARIO`, or name its --directory", err))
	}
	return w, nil
}

// loadScenario takes a file where the text has a slash or ends in .toml, else one that comes with the program.
func loadScenario(name string) (lab.Scenario, error) {
	if !strings.Contains(name, "/") && !strings.HasSuffix(name, ".toml") {
		s, err := lab.Load(name)
		if err != nil {
			return s, withCode(exitInput, fmt.Errorf("%w; a file is named with its .toml", err))
		}
		return s, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return lab.Scenario{}, withCode(exitInput, err)
	}
	s, err := lab.Parse(name, string(text))
	if err != nil {
		return s, withCode(exitInput, err)
	}
	return s, nil
}

// listed is the JSON of one scenario in the list.
type listed struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

// listScenarios is what lab does without an argument.
func listScenarios(sh *shell) error {
	all, err := lab.Scenarios()
	if err != nil {
		return err
	}
	list := []listed{}
	for _, s := range all {
		list = append(list, listed{s.Name, s.Title})
	}
	if sh.json {
		return printJSON(sh.stdout, map[string]any{"scenarios": list})
	}
	p := paintFor(sh.stdout, sh.environ)
	var b strings.Builder
	fmt.Fprintln(&b, "The scenarios of the lab, named by the trouble:")
	fmt.Fprintln(&b)
	for _, l := range list {
		const name = 28
		title := wrapAfter(l.Title, " ", columns-name-2, strings.Repeat(" ", name+2))
		fmt.Fprintf(&b, "  %s%s\n", p.bold(fmt.Sprintf("%-*s", name, l.Name)), title)
	}
	fmt.Fprint(&b, `
Start one:     sternpost lab primary-down
With an agent: sternpost lab run primary-down   # days in a second, then judged
Read one:      sternpost lab print primary-down
Write one:     sternpost lab behaviours
`)
	_, err = io.WriteString(sh.stdout, b.String())
	return err
}

type labPrintCommand struct {
	Scenario string `arg:"" help:"The name of a scenario, or a file."`
	Message  int    `placeholder:"N" help:"Print the n-th message that the scenario sends instead, as a mail program would hand it in."`
}

func (labPrintCommand) Help() string {
	return `Prints the file as it is. With --json it prints what the program has read from it.

Examples:

    sternpost lab print greylisted > mine.toml
    sternpost lab print greylisted --message 1 | sternpost submit -f app@client.test you@example.test`
}

// described is the JSON of lab print.
type described struct {
	Name     string            `json:"name"`
	Title    string            `json:"title"`
	About    string            `json:"about"`
	Zone     string            `json:"zone"`
	Hosts    []describedHost   `json:"hosts"`
	Messages []describedLetter `json:"messages"`
	Text     string            `json:"text"`
}

type describedHost struct {
	Host      string   `json:"host"`
	Address   string   `json:"address"`
	Behaviour []string `json:"behaviour"`
}

type describedLetter struct {
	AtMS         float64           `json:"at_ms"`
	Sender       mail.ReversePath  `json:"sender"`
	Recipients   []mail.Address    `json:"recipients"`
	Subject      string            `json:"subject"`
	Expectations []lab.Expectation `json:"expectations"`
}

func (l labPrintCommand) Run(sh *shell) error {
	s, err := loadScenario(l.Scenario)
	if err != nil {
		return err
	}
	if l.Message != 0 {
		return l.message(sh, s)
	}
	if !sh.json {
		_, err := io.WriteString(sh.stdout, s.Text)
		return err
	}
	d := described{Name: s.Name, Title: s.Title, About: s.About, Zone: s.Zone, Text: s.Text, Hosts: []describedHost{}, Messages: []describedLetter{}}
	for _, h := range s.Hosts {
		d.Hosts = append(d.Hosts, describedHost{h.Name, h.Address.String(), h.Behaviour.Strings()})
	}
	for _, m := range s.Messages {
		d.Messages = append(d.Messages, describedLetter{
			float64(m.At.Microseconds()) / 1000, m.From, m.To, m.Subject, append([]lab.Expectation{}, m.Expect...),
		})
	}
	return printJSON(sh.stdout, d)
}

// message prints one message as it is sent.
func (l labPrintCommand) message(sh *shell, s lab.Scenario) error {
	if l.Message < 0 || l.Message > len(s.Messages) {
		return withCode(exitInput, fmt.Errorf("the scenario has %s, not a number %d", count(len(s.Messages), "message"), l.Message))
	}
	if sh.json {
		return withCode(exitUsage, errors.New("--message prints a message, not JSON"))
	}
	_, err := sh.stdout.Write(s.Messages[l.Message-1].Content())
	return err
}

type labBehavioursCommand struct{}

func (labBehavioursCommand) Help() string {
	return `Each line is a phrase for the list behaviour of a host in a scenario file, as it may stand there.

Example:

    sternpost lab behaviours`
}

func (labBehavioursCommand) Run(sh *shell) error {
	type phrase struct {
		Phrase  string `json:"phrase"`
		Meaning string `json:"meaning"`
	}
	if sh.json {
		list := []phrase{}
		for _, l := range lab.Phrases() {
			list = append(list, phrase{l.Example, l.Meaning})
		}
		return printJSON(sh.stdout, map[string]any{"behaviours": list})
	}
	var b strings.Builder
	fmt.Fprint(&b, "What can stand in the list behaviour of a host, one or several together; of\nthose that fit a moment the first counts.\n\n")
	p := paintFor(sh.stdout, sh.environ)
	const width = 35
	for _, l := range lab.Phrases() {
		meaning := wrapAfter(l.Meaning, " ", columns-width-2, strings.Repeat(" ", width+2))
		fmt.Fprintf(&b, "  %s%s\n", p.bold(fmt.Sprintf("%-*s", width, l.Example)), meaning)
	}
	fmt.Fprint(&b, `
Behind any of them a time since the start, when it holds:

  refused from 10s to 40s        greylist for 5m until 1h
  timeout from 5d                down from second 10 to 40

A code takes a status and a text: 550 5.7.1 "not you" for bad@.*

What can stand in the fault of a [[dns]] table, with a time as above: a code, as
SERVFAIL, NXDOMAIN or REFUSED, drop (no answer), delay=2s, truncate, bogus
(DNSSEC), wrong-id, wrong-question, close-tcp, no-edns, empty, stray, ad.
`)
	_, err := io.WriteString(sh.stdout, b.String())
	return err
}
