package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"sternpost/console"
)

type demoCommand struct {
	Keep bool `help:"Leave the agent and its small internet running until Ctrl-C, and go on telling what happens."`
}

func (demoCommand) Help() string {
	return `Starts a DNS server and mail servers within the program, on loopback addresses, and the agent in a temporary directory. Hands it four messages by SMTP, tells what becomes of them as it happens, and then asks why and bounces about them. It takes some seconds, most of which are the wait for a retry.

Nothing leaves this machine; neither the configuration nor the environment (STERNPOST_...) is read. Where the usual ports are taken, others are. In the end, or at Ctrl-C, all is stopped and the directory is removed.

Exit status: 0 where each message fared as it should, else 69; 75 where it was interrupted.

Examples:

    sternpost demo
    sternpost demo --keep`
}

// demonstration is one run of the command.
type demonstration struct {
	shell *shell
	world *demoWorld
	story *demoStory
	told  demonstrated

	patience time.Duration // with each scene
}

// demonstrated is the JSON of a demonstration.
type demonstrated struct {
	AsExpected bool               `json:"as_expected"`
	Submission string             `json:"submission"` // where the agent takes mail
	Console    string             `json:"console"`
	Scenes     []*played          `json:"scenes"`
	Bounces    console.BounceList `json:"bounces"`
}

// Run shows all scenes, and what the commands say of them.
func (d demoCommand) Run(sh *shell) error {
	ctx, stop := untilSignal(sh.ctx)
	defer stop()
	ctx, stopPipe := signal.NotifyContext(ctx, syscall.SIGPIPE) // that nobody reads on is an end as good as any
	defer stopPipe()
	world, err := openDemo(demoScenario)
	if err != nil {
		return withCode(exitFailed, fmt.Errorf("the demonstration cannot start in %s, where TMPDIR can name another place: %w", os.TempDir(), err))
	}
	r := &demonstration{shell: sh, world: world, story: newDemoStory(sh), patience: demoPatience}
	if sh.json {
		r.story.w = io.Discard
	}
	err = r.show(ctx, d.Keep)
	if ctx.Err() != nil && err != nil && len(r.told.Scenes) < len(demoScenes()) {
		err = withCode(exitAgain, errors.New("interrupted: the agent is stopped, its directory is removed"))
	}
	if closed := world.Close(); closed != nil {
		err = withCode(exitFailed, errors.Join(err, fmt.Errorf("the demonstration does not end in order: %w", closed)))
	}
	return err
}

// show plays all scenes. What did not go as it should is told in the end.
func (r *demonstration) show(ctx context.Context, keep bool) error {
	r.told = demonstrated{Submission: r.world.submission, Console: r.world.consoleURL()}
	r.story.opening()
	for i, s := range demoScenes() {
		r.story.title(i+1, s)
		p, err := r.play(ctx, i+1, s)
		if err != nil {
			return err
		}
		r.told.Scenes = append(r.told.Scenes, p)
	}
	otherwise := r.judge()
	if err := r.ask(ctx); err != nil {
		return err
	}
	r.story.recap(r.told)
	r.story.ending(r.world, keep)
	if r.shell.json {
		if err := printJSON(r.shell.stdout, r.told); err != nil {
			return err
		}
	}
	if keep {
		if err := r.world.watch.until(ctx, r.story.entry, never); ctx.Err() == nil {
			return err
		}
		r.story.stopped()
	}
	return otherwise
}

// ask puts the questions of a person who looks into it afterwards: by the commands themselves, or, for JSON, by what those ask.
func (r *demonstration) ask(ctx context.Context) error {
	if r.shell.json {
		agent := newClient(r.world.configuration)
		defer agent.Close()
		for i, p := range r.told.Scenes {
			if err := agent.get(ctx, "/v1/why?what="+p.Message, &r.told.Scenes[i].Why); err != nil {
				return err
			}
		}
		return agent.get(ctx, "/v1/bounces", &r.told.Bounces)
	}
	r.story.heading("The same, as the commands tell it")
	for _, p := range r.told.Scenes {
		if err := r.run(ctx, "why", p.Message); err != nil {
			return err
		}
	}
	return r.run(ctx, "bounces")
}

// run runs a command of ours, as it would be typed, against the agent of the demonstration.
func (r *demonstration) run(ctx context.Context, args ...string) error {
	fmt.Fprintf(r.shell.stdout, "\n%s\n", r.story.bold("$ sternpost "+strings.Join(args, " ")))
	inner := *r.shell
	inner.ctx = ctx
	inner.environ = r.world.environ(r.shell.environ)
	if code := run(append([]string{"--config", r.world.file}, args...), &inner); code != exitDone {
		return withCode(exitFailed, fmt.Errorf("%s: exit status %d", args[0], code))
	}
	return nil
}
