package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed" // demo.toml
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sternpost/journal"
	"sternpost/lab"
)

// demoScenario is the small internet of the demonstration, the messages, and what is to become of them.
//
//go:embed demo.toml
var demoScenario string

const (
	demoHostname = "agent.shop.test" // our name
	demoRetry    = 3 * time.Second
)

// The ports that are used where they are free.
const (
	demoPort       = 2525 // of the mail servers
	demoDNS        = 5300
	demoSubmission = 2587
	demoConsole    = 8025
)

// demoWorld is what runs while the demonstration does: a small internet, and in a directory of its own the agent as `serve` builds it.
type demoWorld struct {
	directory     string
	file          string // the configuration
	log           *os.File
	lab           *lab.World
	configuration *configuration
	submission    string // host:port
	console       string
	token         string
	service       *service
	stop          context.CancelCauseFunc
	ended         chan struct{} // closed when the agent has ended, for the reason in failed
	failed        error
	watch         watcher
}

// openDemo starts everything. The configuration is that of the demonstration only.
func openDemo(scenario string) (*demoWorld, error) {
	w := &demoWorld{stop: func(error) {}, token: rand.Text()}
	var err error
	if w.directory, err = os.MkdirTemp("", "sternpost-demo-"); err != nil {
		return nil, err
	}
	if err := w.open(scenario); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *demoWorld) open(text string) error {
	scenario, err := lab.Parse("demo.toml", text)
	if err != nil {
		return err
	}
	if w.lab, err = openDemoLab(scenario); err != nil {
		return fmt.Errorf("the mail servers need addresses in 127.0.0.0/8: %w", err)
	}
	if w.log, err = os.Create(filepath.Join(w.directory, "log")); err != nil {
		return err
	}
	// Another program may take a port between our look at it and the agent's start.
	for range 3 {
		if err = w.startAgent(); !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return err
}

// openDemoLab takes the usual ports, else others.
func openDemoLab(s lab.Scenario) (*lab.World, error) {
	world, err := lab.Open(s, lab.Loopback(demoPort, net.JoinHostPort("127.0.0.1", strconv.Itoa(demoDNS))))
	for range 3 {
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		world, err = lab.Open(s, lab.Loopback(0, "127.0.0.1:0"))
	}
	return world, err
}

// startAgent builds the agent from a file of configuration, as `sternpost --config FILE serve` does.
func (w *demoWorld) startAgent() error {
	var err error
	if w.submission, err = freeAddress(demoSubmission); err != nil {
		return err
	}
	if w.console, err = freeAddress(demoConsole); err != nil {
		return err
	}
	w.file = filepath.Join(w.directory, "sternpost.toml")
	if err := os.WriteFile(w.file, []byte(w.settings()), 0o600); err != nil {
		return err
	}
	sh := &shell{ctx: context.Background(), stdin: strings.NewReader(""), stdout: io.Discard, stderr: w.log, configFile: w.file}
	if w.configuration, err = loadConfig(sh); err != nil {
		return err
	}
	s, err := openService(sh, w.configuration)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	w.service, w.stop, w.ended = s, stop, make(chan struct{})
	w.watch = watcher{journal: s.store.Journal(), ended: w.ended}
	go func() {
		defer close(w.ended)
		w.failed = s.run(ctx, nil)
	}()
	return nil
}

// settings is the configuration as a person would write it.
func (w *demoWorld) settings() string {
	return fmt.Sprintf(`# Of a demonstration: sternpost demo has written it.
[resolver]
servers = [%q] # the DNS server of the demonstration

[delivery]
hostname = %q
port = %d
allow_addresses = ["127.0.0.0/8"] # else mail to loopback addresses is refused

[queue]
directory = %q
backoff = [%q] # short, so that nobody has to wait for a retry
jitter = 0.0
drain = "2s"

[submission]
listen = [%q]

[console]
listen = [%q]
token = %q
`, w.lab.DNS().Addr(), demoHostname, w.lab.Port(), filepath.Join(w.directory, "queue"), durationWhole(demoRetry), w.submission, w.console, w.token)
}

// freeAddress is the usual port of 127.0.0.1 where it is free, else another.
func freeAddress(usual int) (string, error) {
	var err error
	for _, port := range []int{usual, 0} {
		listener, failure := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if failure == nil {
			return listener.Addr().String(), listener.Close()
		}
		err = failure
	}
	return "", err
}

func (w *demoWorld) consoleURL() string { return "http://" + w.console }

// environ is what the commands that are run against the agent see: nothing of ours, and of the rest what a terminal needs.
func (w *demoWorld) environ(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(entry string) bool { return strings.HasPrefix(entry, "STERNPOST_") })
}

// submit hands in a message by SMTP, and returns the reply.
func (w *demoWorld) submit(ctx context.Context, from, to string, content []byte) (string, error) {
	l, err := wanted{sender: &from, recipients: []string{to}}.read(newText(bytes.NewReader(content), false))
	if err != nil {
		return "", err
	}
	defer l.Close()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.submission)
	if err != nil {
		return "", fmt.Errorf("the agent cannot be reached; is the loopback interface up? %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	return newDialogue(conn, "").submit(l, new(pointOfNoReturn))
}

// lastTo is the content of the last message that came for the address; nil: none has come.
func (w *demoWorld) lastTo(address string) []byte {
	for _, m := range slices.Backward(w.lab.Messages()) {
		if slices.Contains(m.Recipients, address) {
			return m.Content
		}
	}
	return nil
}

// Close stops everything and removes the directory.
func (w *demoWorld) Close() error {
	var errs []error
	if w.service != nil {
		w.stop(errors.New("the demonstration is over"))
		<-w.ended
		errs = append(errs, w.failed, w.service.Close())
	}
	if w.lab != nil {
		errs = append(errs, w.lab.Close())
	}
	if w.log != nil {
		errs = append(errs, w.log.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(w.directory))...)
}

// watcher tells the entries of a journal as they are written.
type watcher struct {
	journal journal.Journal
	ended   <-chan struct{} // nothing more comes
	after   journal.Cursor
}

// watchEvery is how soon an entry is told: sooner than a person notices.
const watchEvery = 20 * time.Millisecond

// errAgentEnded is why nothing more happens.
var errAgentEnded = errors.New("the agent has ended")

// until tells each entry behind those that were told, until one is enough or ctx ends.
func (w *watcher) until(ctx context.Context, tell func(journal.Entry), enough func(journal.Entry) bool) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		for e, err := range w.journal.Find(ctx, journal.Query{After: w.after}) {
			if err != nil {
				return err
			}
			w.after = e.Cursor
			tell(e)
			if enough(e) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-w.ended:
			return errAgentEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// never is of who watches without end.
func never(journal.Entry) bool { return false }
