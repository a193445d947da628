// Package console is how people and programs look into a running agent: the HTTP API, on a Unix socket for whoever may open it, and on TCP for
// whoever has the token.
//
// What is promised: an answer is JSON with the keys that docs/json.md lists, and an error is a problem of RFC 9457. Nothing that a remote said
// is interpreted: it is quoted in JSON, and what is not printable is escaped. A question costs no more memory than its limit allows, however much is
// queued.
//
// The Queue is asked, never known: what the console needs of it is the small interface here. A Console is safe for concurrent use.
package console

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// Queue is what the console needs of the queue.
type Queue interface {
	Messages(ctx context.Context, q queue.Query) iter.Seq2[queue.Message, error]
	Message(ctx context.Context, id queue.ID) (queue.Message, error)
	Destinations(ctx context.Context) ([]Destination, error)
	Change(ctx context.Context, q queue.Query, a queue.Action) (queue.Effect, error)
	Fail(ctx context.Context, q queue.Query) (queue.Effect, error)
	Flush(ctx context.Context, destination mail.Domain) (queue.Effect, error)
	Ready() error
}

// Deps is what a Console is handed.
type Deps struct {
	Queue Queue
	// Journal tells of messages that are gone. Nil: nothing.
	Journal journal.Journal
	// Judge says what a failure or a deferral means. Nil: nobody does, and none has a category.
	Judge func(journal.Entry) bounce.Verdict
	// Outlook is the plan that an attempt for a domain would have now: the answers of the DNS, and each host with why it would be skipped; and what connections there must
	// prove. Nil: it is not known.
	Outlook func(ctx context.Context, domain mail.Domain) (plan mail.Attempt, policy string)
	// Suppressions is the list of addresses to which nothing is sent. Nil: there is none.
	Suppressions queue.SuppressionList
	// Webhooks tells how those who are told of events fare. Nil: there are none.
	Webhooks Webhooks
	// Submission is the door for POST /v1/messages; CallerOf tells it who asks. Nil: no mail is taken.
	Submission http.Handler
	// Metrics are answered at /metrics. Nil: some of its own, which nobody feeds. They belong to one Console.
	Metrics *Metrics
	// Log gets what a person changed, and trouble. Nil: nobody.
	Log *zap.Logger
	// Directory is where the admin socket is made. Its owner holds the lock of the queue there, so a socket that exists is a dead one.
	Directory string
}

// SocketName is the admin socket within queue.directory.
const SocketName = "sternpost.sock"

// Bounds of one conversation.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 30 * time.Second
	answerTimeout = time.Minute // for a step of an answer, not for all of a long one
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 5 * time.Second
	maxHeader     = 16 << 10
	maxBody       = 64 << 10
	maxCallers    = 500 // connections of each listener
)

// Console answers questions. Make it with Open.
type Console struct {
	config       Config
	queue        Queue
	journal      journal.Journal
	judge        func(journal.Entry) bounce.Verdict
	outlook      func(context.Context, mail.Domain) (mail.Attempt, string)
	suppressions queue.SuppressionList
	webhooks     Webhooks
	submission   http.Handler
	metrics      *Metrics
	log          *zap.Logger
	admin        net.Listener
	listeners    []net.Listener
	ending       chan struct{} // closed when answers that have no end of their own should end
	shares       shares        // of what is being answered over TCP
}

// Open listens on the admin socket, and on what the configuration says.
func Open(c Config, d Deps) (*Console, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Console{
		config: c, queue: d.Queue, journal: d.Journal, judge: d.Judge, outlook: d.Outlook, suppressions: d.Suppressions, webhooks: d.Webhooks,
		submission: d.Submission, metrics: d.Metrics, log: d.Log, ending: make(chan struct{}),
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.metrics == nil {
		s.metrics = NewMetrics("", nil)
	}
	admin, err := listenAdmin(filepath.Join(d.Directory, SocketName))
	if err != nil {
		return nil, err
	}
	s.admin = admin
	for _, at := range c.Listen {
		listener, err := net.Listen("tcp", at.String())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("console.listen: %w", err), s.Close())
		}
		s.listeners = append(s.listeners, listener)
	}
	return s, nil
}

// longestSocket is how long the path of a Unix socket may be (sun_path, with its final zero).
const longestSocket = 107

// listenAdmin makes the socket anew: whoever could still hear the old one would have the lock of the queue.
func listenAdmin(path string) (net.Listener, error) {
	if len(path) > longestSocket {
		return nil, fmt.Errorf("queue.directory: the path of the admin socket, %s, is longer than the %d octets that the system allows", path, longestSocket)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the old admin socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the admin socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("the admin socket: %w", err), listener.Close())
	}
	return listener, nil
}

// Addrs are the TCP addresses that are listened on.
func (c *Console) Addrs() []net.Addr {
	var list []net.Addr
	for _, l := range c.listeners {
		list = append(list, l.Addr())
	}
	return list
}

// Run answers until ctx ends, then lets the answers that are under way come to their end, for some seconds. The listeners are closed when it
// returns. Run is called once.
func (c *Console) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	serve := func(listener net.Listener, answers http.Handler) {
		server := c.server(answers)
		group.Go(func() error {
			err := server.Serve(newGate(listener, maxCallers))
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
			return err
		})
		group.Go(func() error {
			<-ctx.Done()
			return shutDown(server)
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		close(c.ending)
		return nil
	})
	answers := seated(c.routes())
	serve(c.admin, answers)
	for _, listener := range c.listeners {
		serve(listener, c.guarded(answers))
	}
	return group.Wait()
}

// shutDown waits for the answers under way, and cuts what is left.
func shutDown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

func (c *Console) server(answers http.Handler) *http.Server {
	return &http.Server{
		Handler: answers, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ConnContext: greet, ErrorLog: zap.NewStdLog(c.log),
	}
}

// Close closes the listeners of a Console that does not Run.
func (c *Console) Close() error {
	errs := []error{c.admin.Close()}
	for _, listener := range c.listeners {
		errs = append(errs, listener.Close())
	}
	return errors.Join(errs...)
}
