package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"sternpost/bounce"
	"sternpost/console"
	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
	"sternpost/queue/spool"
)

// journalSize is how many entries the journal has when the questions begin: two of each message.
const journalSize = 100_000

// BenchmarkQuestionsUnderLoad asks an agent that takes and delivers mail all the while, with 100,000 entries in its journal of which a tenth are failures, and prints how long
// each answer takes, beside a reading of the whole journal; and what the heap grows by while they are answered:
//
//	go test ./cmd/sternpost -run none -bench QuestionsUnderLoad -benchtime 20x
func BenchmarkQuestionsUnderLoad(b *testing.B) {
	world := openLoaded(b)
	world.fill(b, journalSize/2)
	stop := world.keepSending(b)
	defer stop()
	scan := world.scan(b)
	b.Logf("a reading of the whole journal: %s", scan.Round(time.Millisecond))
	failed := world.firstFailure(b)
	for _, args := range [][]string{
		{"why", failed.Message}, {"why", failed.Recipient}, {"why", string(failed.Domain)}, {"bounces", "--recipient", failed.Recipient},
		{"bounces", "--domain", string(failed.Domain)}, {"bounces", "--code", "550"}, {"bounces", "--category", "bad-mailbox"}, {"bounces"}, {"bounces", "--csv"}, {"bounces", "summary"},
	} {
		name := strings.NewReplacer(failed.Message, "ID", failed.Recipient, "ADDRESS", string(failed.Domain), "DOMAIN").Replace(strings.Join(args, " "))
		b.Run(name, func(b *testing.B) {
			before := liveHeap()
			for b.Loop() {
				var out counted
				if code := run(args, &shell{ctx: b.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &out, environ: world.environ}); code != 0 || out == 0 {
					b.Fatalf("exit status %d", code)
				}
			}
			took := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(took)/float64(scan), "of-a-scan")
			b.ReportMetric(took.Seconds(), "s/answer")
			b.ReportMetric(max(0, liveHeap()-before)/(1<<20), "MB-grown")
		})
	}
}

// counted swallows an output.
type counted int

func (c *counted) Write(b []byte) (int, error) {
	*c += counted(len(b))
	return len(b), nil
}

func liveHeap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// loaded is an agent without a network.
type loaded struct {
	store   *spool.Store
	queue   *queue.Queue
	environ []string
	settled atomic.Int64
}

// Settled implements queue.Observer.
func (l *loaded) Settled(mail.Outcome, queue.State, time.Duration) { l.settled.Add(1) }

func openLoaded(b *testing.B) *loaded {
	b.Helper()
	l := new(loaded)
	store, err := spool.OpenDirectory(spool.Config{Directory: b.TempDir(), JournalDays: 30}, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	c := queue.DefaultConfig()
	c.WindowStart, c.WindowLimit = 100, 100
	q, err := queue.New(c, queue.Deps{Store: store, Deliverer: oneInTen{}, Observer: l, Hostname: "client.test"})
	if err != nil {
		b.Fatal(err)
	}
	l.store, l.queue = store, q
	rules, err := bounce.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	l.environ = agentWith(b, console.Deps{
		Queue: asked{q, new(atomic.Bool)}, Journal: store.Journal(), Judge: func(e journal.Entry) bounce.Verdict { return rules.Classify(bounce.FromEntry(e)) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		_ = store.Close()
	})
	return l
}

// oneInTen refuses every tenth recipient and takes the others, with a tree as a dialogue over TLS makes it.
type oneInTen struct{}

func (oneInTen) Site(context.Context, mail.Domain) (string, time.Time) {
	return "10 mx.test", time.Now().Add(time.Hour)
}

func (oneInTen) Deliver(_ context.Context, t mail.Transaction) mail.Attempt {
	now, ip, host := time.Now(), netip.MustParseAddr("192.0.2.1"), "mx."+string(t.Domain)
	to := t.Envelope.Recipients[0].Address
	reply, status, disposition, scope := mail.Reply{Code: 250, Lines: []string{"250 2.0.0 Ok: queued as 4XyZ12"}}, mail.Status{2, 0, 0}, mail.Delivered, mail.ScopeNone
	if strings.HasSuffix(to.Local, "7") {
		reply, status, disposition, scope = mail.Reply{Code: 550, Lines: []string{"550 5.1.1 <" + to.String() + ">: User unknown"}}, mail.Status{5, 1, 1}, mail.Failed, mail.ScopeRecipient
	}
	c := mail.Candidate{Host: host, Preference: 10, Address: ip, Port: 25, Verdict: mail.Verdict(disposition), TLS: &mail.TLS{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Names: []string{host}}}
	for _, stage := range mail.Stages()[2:] {
		c.Stages = append(c.Stages, mail.StageRecord{Stage: stage, At: now, Took: time.Millisecond, Reply: reply})
	}
	return mail.Attempt{
		ID: t.Message + "/1", Message: t.Message, Number: t.Attempt, Domain: t.Domain, Started: now, Ended: now, Rule: mail.RuleMX, Candidates: []mail.Candidate{c},
		DNS: []mail.Lookup{{Name: string(t.Domain), Type: "MX", RCode: mail.RCodeSuccess, TTL: time.Hour, Answers: []string{"10 " + host}}},
		Outcomes: []mail.Outcome{{
			Recipient: to, Disposition: disposition, Scope: scope, Stage: mail.StageRcpt, Reply: reply, Status: status, Host: host, IP: ip,
		}},
	}
}

// send hands in message n, of which no report is wanted.
func (l *loaded) send(ctx context.Context, n int) error {
	_, err := l.queue.Submit(ctx, queue.Submission{
		Envelope: mail.Envelope{
			From:       mail.ReversePath{Address: mail.Address{Local: "me", Domain: "client.test"}},
			Recipients: []mail.Recipient{{Address: mail.Address{Local: fmt.Sprintf("u%d", n), Domain: mail.Domain(fmt.Sprintf("d%d.test", n%100))}, Notify: []string{"NEVER"}}},
		},
		MessageID: fmt.Sprintf("%d@client.test", n),
	}, bytes.NewReader([]byte("Subject: x\r\n\r\nhello\r\n")))
	return err
}

// fill sends so many messages, and waits until all are settled.
func (l *loaded) fill(b *testing.B, messages int) {
	b.Helper()
	var sending sync.WaitGroup
	for from := range 64 {
		sending.Go(func() {
			for n := from; n < messages; n += 64 {
				if err := l.send(b.Context(), n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
	for tick := time.Tick(10 * time.Millisecond); l.settled.Load() < int64(messages) && !b.Failed(); <-tick {
	}
}

// keepSending goes on with four senders until it is stopped.
func (l *loaded) keepSending(b *testing.B) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var sending sync.WaitGroup
	var sent atomic.Int64
	began := time.Now()
	for from := range 4 {
		sending.Go(func() {
			for n := 10_000_000 + from; l.send(ctx, n) == nil; n += 4 {
				sent.Add(1)
			}
		})
	}
	return func() {
		cancel()
		sending.Wait()
		b.Logf("meanwhile %.0f messages a second came in", float64(sent.Load())/time.Since(began).Seconds())
	}
}

// scan is how long a reading of the whole journal takes.
func (l *loaded) scan(b *testing.B) time.Duration {
	b.Helper()
	began, n := time.Now(), 0
	for _, err := range l.store.Journal().Find(b.Context(), journal.Query{}) {
		if err != nil {
			b.Fatal(err)
		}
		n++
	}
	if n < journalSize {
		b.Fatalf("the journal has %d entries", n)
	}
	return time.Since(began)
}

func (l *loaded) firstFailure(b *testing.B) journal.Entry {
	b.Helper()
	for e, err := range l.store.Journal().Find(b.Context(), journal.Query{Kind: journal.Failed, Limit: 1}) {
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	b.Fatal("nothing has failed")
	return journal.Entry{}
}
