// Command sternpost sends mail out: it finds where the mail of a domain goes, takes it there, and says what happened.
//
// This package reads the configuration, builds the rooms and prints what they tell. It holds no mail logic. There is one file
// for each subcommand; story.go prints an attempt, resolvestory.go prints where mail would go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// commandLine is everything that can be typed. Flags that stand here work with every command.
type commandLine struct {
	ConfigFile string `name:"config" placeholder:"FILE" env:"STERNPOST_CONFIG" help:"Read this configuration file. Without it: /etc/sternpost/sternpost.toml where that exists, else the defaults."`
	JSON       bool   `name:"json" help:"Print JSON, with the keys that docs/json.md lists."`

	Serve       serveCommand       `cmd:"" help:"Run the agent: take mail, keep it, deliver it."`
	Submit      submitCommand      `cmd:"" help:"Hand a message to the running agent."`
	Queue       queueCommand       `cmd:"" help:"See and change what waits in the running agent."`
	Why         whyCommand         `cmd:"" help:"Tell the story of a message, an address or a domain, and what happens next."`
	Bounces     bouncesCommand     `cmd:"" help:"The mail that failed: why, where, how often."`
	Suppression suppressionCommand `cmd:"" help:"See and change the addresses to which nothing is sent."`
	Webhooks    webhooksCommand    `cmd:"" help:"See the programs that are told of mail, and help where one refuses."`
	Deliver     deliverCommand     `cmd:"" help:"Deliver one message now, without a queue, and tell the story."`
	Resolve     resolveCommand     `cmd:"" help:"Show where the mail of a domain goes, and what is wrong there."`
	Probe       probeCommand       `cmd:"" help:"Ask every exchanger of a domain, backups included, whether it would take mail; none is sent."`
	Lab         labCommand         `cmd:"" help:"A fake internet on this machine: DNS, and mail servers that are down, slow or rude."`
	Config      configCommand      `cmd:"" help:"Check, show and explain the configuration."`
	Demo        demoCommand        `cmd:"" help:"See the agent meet a dead server, a backup, an unknown domain and a greylister: offline, in seconds."`
	Version     versionCommand     `cmd:"" help:"Show the version."`
}

// shell is what surrounds a command: its context, streams and environment, and the flags that all commands share.
type shell struct {
	ctx        context.Context
	stdin      io.Reader
	stdout     io.Writer
	stderr     io.Writer
	environ    []string
	configFile string
	json       bool
}

func main() {
	os.Exit(calledAs(filepath.Base(os.Args[0]))(os.Args[1:], &shell{
		ctx: context.Background(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(),
	}))
}

// run carries out one command line and returns the exit status.
func run(args []string, sh *shell) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	var line commandLine
	parser, err := kong.New(&line,
		kong.Name("sternpost"),
		kong.Description("Sternpost takes mail to where it belongs and says exactly what happened."),
		kong.Writers(sh.stdout, sh.stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(sh),
	)
	if err != nil {
		return report(sh.stderr, err)
	}
	parsed, err := parser.Parse(flagsFirst(parser.Model.Node, args))
	if err != nil {
		return report(sh.stderr, withCode(exitUsage, fmt.Errorf("%w\n%s", err, usageHint(err))))
	}
	sh.configFile, sh.json = line.ConfigFile, line.JSON
	return report(sh.stderr, parsed.Run())
}

// flagsFirst puts the flags before the arguments of a command, because the parser takes all arguments in one row only. What follows "--" is no flag.
func flagsFirst(node *kong.Node, args []string) []string {
	var commands, arguments []string // flags stand where they are among the commands
	known := flagsOf(node)
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return slices.Concat(commands, []string{arg}, arguments, args[i+1:])
		case len(arg) > 1 && arg[0] == '-':
			commands = append(commands, arg)
			if i++; i < len(args) && wantsValue(known, arg) {
				commands = append(commands, args[i])
			} else {
				i--
			}
		default:
			child := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == arg })
			if child < 0 || len(arguments) > 0 {
				arguments = append(arguments, arg)
				continue
			}
			node = node.Children[child]
			known = append(known, flagsOf(node)...)
			commands = append(commands, arg)
		}
	}
	return append(commands, arguments...)
}

// flagsOf are the flags that may stand behind a command: its own, and those of the one that it stands for.
func flagsOf(node *kong.Node) []*kong.Flag {
	flags := slices.Clone(node.Flags)
	if node.DefaultCmd != nil {
		flags = append(flags, node.DefaultCmd.Flags...)
	}
	return flags
}

// wantsValue says whether the argument behind arg, which is a flag, is its value.
func wantsValue(known []*kong.Flag, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		return slices.ContainsFunc(known, func(f *kong.Flag) bool { return f.Name == name && !f.IsBool() })
	}
	for i, short := range arg[1:] {
		if slices.ContainsFunc(known, func(f *kong.Flag) bool { return f.Short == short && !f.IsBool() }) {
			return i == len(arg)-2 // else its value is joined to it
		}
	}
	return false
}

// usageHint names the help that fits to a usage error.
func usageHint(err error) string {
	path := "sternpost"
	if parse := new(kong.ParseError); errors.As(err, &parse) {
		if node := parse.Context.Selected(); node != nil {
			path = node.FullPath()
		}
	}
	return fmt.Sprintf("Try: %s --help", path)
}

// report prints err, if there is something to say, and returns the exit status that it stands for.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	if exit := new(exitError); errors.As(err, &exit) {
		code = exit.code
		err = exit.err
	}
	if err != nil {
		printError(w, err)
	}
	return code
}

// printError prints an error; its own line breaks stay. What it quotes of a stranger is mostly escaped already.
func printError(w io.Writer, err error) {
	prefix := "sternpost: "
	for line := range lines(err.Error()) {
		fmt.Fprintf(w, "%s%s\n", prefix, plain(line))
		prefix = "  "
	}
}
