package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
	"sternpost/queue/storetest"
)

// world is a queue on a store in memory, with a deliverer that answers by domain. It is made inside a synctest bubble.
type world struct {
	t      *testing.T
	store  *storetest.Memory
	config queue.Config
	log    *zap.Logger    // nil: nobody
	seen   queue.Observer // nil: nobody
	queue  *queue.Queue
	stop   context.CancelFunc
	ended  chan error
	// site names the sites; nil: see Site.
	site func(mail.Domain) (string, time.Time)

	answering sync.WaitGroup // answers that may outlast their attempt

	mu       sync.Mutex
	answers  map[mail.Domain]func(mail.Transaction) mail.Outcome
	trees    map[mail.Domain]func() []mail.Candidate
	attempts []attempted
	running  map[mail.Domain]int
	most     map[mail.Domain]int
}

type attempted struct {
	at     time.Time
	domain mail.Domain
	to     string
	sender string
	number int
	text   string
}

func newWorld(t *testing.T, change ...func(*queue.Config)) *world {
	t.Helper()
	w := &world{t: t, store: storetest.NewMemory(), answers: map[mail.Domain]func(mail.Transaction) mail.Outcome{},
		running: map[mail.Domain]int{}, most: map[mail.Domain]int{}}
	w.config = queue.DefaultConfig()
	w.config.Jitter = 0
	for _, f := range change {
		f(&w.config)
	}
	w.begin(w.store)
	t.Cleanup(func() {
		w.stop()
		<-w.ended
		w.answering.Wait()
	})
	return w
}

// begin makes a queue on a store, and runs it.
func (w *world) begin(store queue.Store) {
	w.t.Helper()
	var err error
	if w.queue, err = queue.New(w.config, queue.Deps{Store: store, Deliverer: w, Hostname: "us.test", Log: w.log, Observer: w.seen}); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stop, w.ended = cancel, make(chan error, 1)
	ended := w.ended
	go func() {
		ended <- w.queue.Run(ctx)
		close(ended)
	}()
}

// Site makes each domain a site of its own, but those below shared.test.
func (w *world) Site(_ context.Context, d mail.Domain) (string, time.Time) {
	if w.site != nil {
		return w.site(d)
	}
	if strings.HasSuffix(string(d), ".shared.test") {
		d = "shared.test"
	}
	return string(d), time.Now().Add(time.Minute)
}

func (w *world) Deliver(ctx context.Context, t mail.Transaction) mail.Attempt {
	var text []byte
	if r, err := t.Content.Open(); err == nil {
		text, _ = io.ReadAll(r)
		r.Close()
	}
	w.mu.Lock()
	w.attempts = append(w.attempts, attempted{time.Now(), t.Domain, t.Envelope.Recipients[0].Address.String(), t.Envelope.From.String(), t.Attempt, string(text)})
	w.running[t.Domain]++
	w.most[t.Domain] = max(w.most[t.Domain], w.running[t.Domain])
	answer := w.answers[t.Domain]
	w.mu.Unlock()
	if answer == nil {
		answer = delivered
	}
	a := mail.Attempt{ID: t.Message, Number: t.Attempt, Started: time.Now()}
	w.mu.Lock()
	if tree := w.trees[t.Domain]; tree != nil {
		a.Candidates = tree()
	}
	w.mu.Unlock()
	said := make(chan mail.Outcome, 1)
	w.answering.Go(func() { said <- answer(t) })
	var o mail.Outcome
	select {
	case o = <-said:
	case <-ctx.Done(): // cut off while the content is on its way
		o = mail.Outcome{Disposition: mail.Deferred, InDoubt: true, Scope: mail.ScopeLocal, Stage: mail.StageDot}
	}
	for _, r := range t.Envelope.Recipients {
		o.Recipient = r.Address
		a.Outcomes = append(a.Outcomes, o)
	}
	w.mu.Lock()
	w.running[t.Domain]--
	w.mu.Unlock()
	a.Ended = time.Now()
	return a
}

func (w *world) answer(d mail.Domain, f func(mail.Transaction) mail.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[d] = f
}

// tree says which candidates the attempts for a domain have.
func (w *world) tree(d mail.Domain, f func() []mail.Candidate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trees == nil {
		w.trees = map[mail.Domain]func() []mail.Candidate{}
	}
	w.trees[d] = f
}

func delivered(mail.Transaction) mail.Outcome {
	return mail.Outcome{Disposition: mail.Delivered, Stage: mail.StageDot, Reply: mail.Reply{Code: 250, Lines: []string{"250 ok"}}}
}

func down(mail.Transaction) mail.Outcome {
	return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeHost, Stage: mail.StageConnect, Status: mail.Status{4, 4, 1}, Reason: "no connection"}
}

func refused(mail.Transaction) mail.Outcome {
	return mail.Outcome{Disposition: mail.Failed, Scope: mail.ScopeRecipient, Stage: mail.StageRcpt, Status: mail.Status{5, 1, 1}, Host: "mx.test",
		Reply: mail.Reply{Code: 550, Lines: []string{"550 5.1.1 no such user"}}, Reason: "refused at rcpt"}
}

func greylisted(mail.Transaction) mail.Outcome {
	return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeRecipient, Stage: mail.StageRcpt, Status: mail.Status{4, 2, 0},
		Reply: mail.Reply{Code: 450, Lines: []string{"450 4.2.0 greylisted"}}, Reason: "refused at rcpt"}
}

func submission(t *testing.T, from string, to ...string) queue.Submission {
	t.Helper()
	path, err := mail.ParseReversePath(from)
	if err != nil {
		t.Fatal(err)
	}
	s := queue.Submission{Envelope: mail.Envelope{From: path}}
	for _, address := range to {
		a, err := mail.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		s.Envelope.Recipients = append(s.Envelope.Recipients, mail.Recipient{Address: a})
	}
	return s
}

func (w *world) submit(from string, to ...string) queue.ID {
	w.t.Helper()
	accepted, err := w.queue.Submit(context.Background(), submission(w.t, from, to...), strings.NewReader("Subject: x\r\n\r\ntext\r\n"))
	if err != nil {
		w.t.Fatal(err)
	}
	return accepted.ID
}

// tries are the attempts for a domain.
func (w *world) tries(d mail.Domain) []attempted {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []attempted
	for _, a := range w.attempts {
		if a.domain == d {
			list = append(list, a)
		}
	}
	return list
}

func (w *world) waiting() int {
	w.t.Helper()
	n := 0
	for _, err := range w.queue.Messages(context.Background(), queue.Query{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}

func (w *world) kinds(q journal.Query) string {
	w.t.Helper()
	var kinds []string
	for e, err := range w.store.Journal().Find(context.Background(), q) {
		if err != nil {
			w.t.Fatal(err)
		}
		kinds = append(kinds, string(e.Kind))
	}
	return strings.Join(kinds, " ")
}

func (w *world) kindsOf(id queue.ID) string {
	w.t.Helper()
	return w.kinds(journal.Query{Message: id.String()})
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestDeliveredAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		id := w.submit("me@us.test", "you@a.test", "two@a.test", "you@b.test")
		synctest.Wait()
		if n := w.waiting(); n != 0 {
			t.Errorf("%d messages wait", n)
		}
		if got := w.kindsOf(id); got != "accepted delivered delivered delivered" {
			t.Error(got)
		}
		if len(w.tries("a.test")) != 1 || len(w.tries("b.test")) != 1 {
			t.Error("recipients of one destination do not share a transaction")
		}
	})
}

// Five days of a dead domain: the exact times, then a report that says host unknown.
func TestDeadDomainForFiveDays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.DelayNotice = 0 })
		w.answer("dead.test", down)
		began := time.Now()
		w.submit("me@us.test", "you@dead.test")
		pass(6 * 24 * time.Hour)
		var got []time.Duration
		for _, a := range w.tries("dead.test") {
			got = append(got, a.at.Sub(began).Round(time.Second))
		}
		want := []time.Duration{0, time.Minute, 6 * time.Minute, 16 * time.Minute, 36 * time.Minute, 76 * time.Minute, 136 * time.Minute, 256 * time.Minute}
		for next := 496 * time.Minute; next < 5*24*time.Hour-15*time.Minute; next += 4 * time.Hour {
			want = append(want, next)
		}
		want = append(want, 5*24*time.Hour-15*time.Minute)
		if !slices.Equal(got, want) {
			t.Errorf("attempts after\n%v\nwant\n%v", got, want)
		}
		reports := w.tries("us.test")
		if len(reports) != 1 || w.waiting() != 0 {
			t.Fatalf("%d reports, %d messages wait", len(reports), w.waiting())
		}
		if !strings.Contains(reports[0].text, "Status: 4.4.1") || !strings.Contains(reports[0].text, "host unknown") || reports[0].sender != "" {
			t.Errorf("the report from <%s> is\n%s", reports[0].sender, reports[0].text)
		}
	})
}

// However many wait for a dead destination, only one of them probes it; when it lives again all go.
func TestDeadDestinationIsProbedByOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("dead.test", down)
		for i := range 500 {
			w.submit("me@us.test", fmt.Sprintf("u%d@dead.test", i))
		}
		synctest.Wait()
		first := len(w.tries("dead.test"))
		if first > 6 {
			t.Errorf("%d attempts at once", first)
		}
		pass(time.Hour)
		if n := len(w.tries("dead.test")) - first; n > 10 {
			t.Errorf("%d probes in an hour", n)
		}
		w.answer("dead.test", delivered)
		pass(16 * time.Minute)
		if n := w.waiting(); n > 6 { // those whose own attempt had failed wait for their own time
			t.Errorf("%d still wait", n)
		}
		pass(5 * time.Hour)
		if n := w.waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// One sender's thousands do not delay another's one.
func TestSendersTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("slow.test", func(tr mail.Transaction) mail.Outcome {
			<-time.After(time.Second)
			return delivered(tr)
		})
		for i := range 500 {
			w.submit("bulk@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		w.submit("one@us.test", "you@slow.test")
		began := time.Now()
		pass(3 * time.Second)
		for _, a := range w.tries("slow.test") {
			if a.sender == "one@us.test" && a.at.Sub(began) <= time.Second {
				return
			}
		}
		t.Error("the other sender's one message still waits")
	})
}

// Domains of one site share its window, which grows while it is full and never beyond its limit.
func TestWindowOfASite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		most, running := 0, 0
		var mu sync.Mutex
		slow := func(tr mail.Transaction) mail.Outcome {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return delivered(tr)
		}
		for i := range 40 {
			d := fmt.Sprintf("d%d.shared.test", i)
			w.answer(mail.Domain(d), slow)
			for j := range 20 {
				w.submit(fmt.Sprintf("u%d@us.test", j), "you@"+d)
			}
		}
		peak := func() int {
			mu.Lock()
			defer mu.Unlock()
			return most
		}
		pass(900 * time.Millisecond)
		if n := peak(); n != 5 {
			t.Errorf("%d at the same time at first", n)
		}
		pass(5 * time.Minute)
		if n := peak(); n != 20 || w.waiting() != 0 {
			t.Errorf("%d at the same time, %d wait", n, w.waiting())
		}
	})
}

func TestGreylistedThenDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		first := true
		w.answer("grey.test", func(tr mail.Transaction) mail.Outcome {
			if first {
				first = false
				return greylisted(tr)
			}
			return delivered(tr)
		})
		id := w.submit("me@us.test", "you@grey.test")
		pass(61 * time.Second)
		if got := w.kindsOf(id); got != "accepted deferred delivered" {
			t.Error(got)
		}
	})
}

// A refusal is reported once, to the sender, unless nobody wants to know.
func TestReports(t *testing.T) {
	for _, c := range []struct {
		name, from string
		notify     []string
		want       int
	}{
		{"ordinary", "me@us.test", nil, 1},
		{"null reverse-path", "", nil, 0},
		{"never", "me@us.test", []string{"NEVER"}, 0},
		{"only success", "me@us.test", []string{"SUCCESS"}, 0},
		{"failure", "me@us.test", []string{"FAILURE"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.answer("no.test", refused)
				s := submission(t, c.from, "a@no.test", "b@no.test")
				for i := range s.Envelope.Recipients {
					s.Envelope.Recipients[i].Notify = c.notify
				}
				if _, err := w.queue.Submit(context.Background(), s, strings.NewReader("Subject: x\r\n\r\ntext\r\n")); err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				reports := w.tries("us.test")
				if len(reports) != c.want || w.waiting() != 0 {
					t.Fatalf("%d reports, %d messages wait", len(reports), w.waiting())
				}
				if c.want == 0 {
					return
				}
				r, err := dsn.Parse(strings.NewReader(reports[0].text))
				if err != nil || len(r.Recipients) != 2 || r.Recipients[0].Status != (mail.Status{5, 1, 1}) {
					t.Errorf("%+v, %v", r, err)
				}
			})
		})
	}
}

// A report that cannot be delivered is not reported about.
func TestReportsAreNotReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("no.test", refused)
		w.answer("us.test", refused)
		w.submit("me@us.test", "you@no.test")
		pass(time.Minute)
		if n := len(w.tries("us.test")); n != 1 || w.waiting() != 0 {
			t.Errorf("%d attempts to report, %d wait", n, w.waiting())
		}
	})
}

// The sender is told once that a message still waits.
func TestNoticeOfDelay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		w.submit("me@us.test", "you@grey.test")
		pass(3*time.Hour + 50*time.Minute)
		if n := len(w.tries("us.test")); n != 0 {
			t.Fatalf("%d notices before their time", n)
		}
		pass(24 * time.Hour)
		notices := w.tries("us.test")
		if len(notices) != 1 || !strings.Contains(notices[0].text, "Action: delayed") {
			t.Errorf("%d notices: %v", len(notices), notices)
		}
	})
}

// Those who only wait, because their destination is dead, are told of too.
func TestNoticeForThoseWhoWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("dead.test", down)
		for i := range 20 {
			w.submit(fmt.Sprintf("s%d@us.test", i), fmt.Sprintf("u%d@dead.test", i))
		}
		pass(5 * time.Hour)
		if n := len(w.tries("us.test")); n != 20 {
			t.Errorf("%d notices for 20 messages that wait", n)
		}
	})
}

func TestInDoubtIsHeldWhereAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.InDoubt = "hold" })
		w.answer("a.test", func(tr mail.Transaction) mail.Outcome {
			return mail.Outcome{Disposition: mail.Deferred, InDoubt: true, Scope: mail.ScopeSession, Stage: mail.StageDot, Status: mail.Status{4, 4, 2}}
		})
		id := w.submit("me@us.test", "you@a.test")
		pass(time.Hour)
		m, err := w.queue.Message(context.Background(), id)
		if err != nil || m.Recipients[0].State != queue.Held || len(w.tries("a.test")) != 1 {
			t.Errorf("%+v, %v", m.Recipients, err)
		}
		w.answer("a.test", delivered)
		if n, err := w.queue.Change(context.Background(), queue.Query{ID: id}, queue.Release); n.Changed != 1 || err != nil {
			t.Errorf("%+v, %v", n, err)
		}
		pass(2 * time.Second)
		if w.waiting() != 0 {
			t.Error("what was released still waits")
		}
	})
}

// When the store fails nothing is accepted any more, and Run says why it ended.
func TestStoreThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.store.FailCommits(errors.New("input/output error"))
		if _, err := w.queue.Submit(context.Background(), submission(t, "me@us.test", "you@a.test"), strings.NewReader("x")); err == nil {
			t.Fatal("accepted by a store that cannot write")
		}
		if err := <-w.ended; !errors.Is(err, queue.ErrStopped) {
			t.Errorf("Run ended with %v", err)
		}
		if w.queue.Ready() == nil {
			t.Error("still ready")
		}
	})
}

// Stopped, it lets attempts end, settles them, and owes the rest.
func TestStopAndStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("slow.test", func(tr mail.Transaction) mail.Outcome {
			<-time.After(10 * time.Second)
			return delivered(tr)
		})
		for i := range 12 {
			w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		pass(time.Second)
		w.stop()
		if err := <-w.ended; err != nil {
			t.Error(err)
		}
		if n := w.waiting(); n != 7 {
			t.Errorf("%d are owed, want 7", n)
		}
		w.store = w.store.Reopen()
		w.begin(w.store)
		pass(time.Minute)
		if n := len(w.tries("slow.test")); n != 12 {
			t.Errorf("%d attempts for 12 messages", n)
		}
	})
}

// What is not complete is not accepted.
func TestContentThatBreaksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		broken := errors.New("connection reset")
		content := io.MultiReader(strings.NewReader("half a mess"), brokenReader{broken})
		if _, err := w.queue.Submit(context.Background(), submission(t, "me@us.test", "you@a.test"), content); !errors.Is(err, broken) {
			t.Error(err)
		}
		synctest.Wait()
		if w.waiting() != 0 || len(w.tries("a.test")) != 0 {
			t.Error("half a message was accepted")
		}
	})
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// A person returns a message: the sender gets a report.
func TestFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		w.submit("me@us.test", "you@grey.test")
		synctest.Wait()
		if n, err := w.queue.Fail(context.Background(), queue.Query{Destination: "grey.test"}); n.Changed != 1 || err != nil {
			t.Errorf("%+v, %v", n, err)
		}
		pass(2 * time.Second)
		if reports := w.tries("us.test"); len(reports) != 1 || w.waiting() != 0 {
			t.Errorf("%d reports, %d wait", len(reports), w.waiting())
		}
	})
}

// Flush makes what waits for a dead destination go now.
func TestFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("dead.test", down)
		w.submit("me@us.test", "you@dead.test")
		pass(3 * time.Minute)
		w.answer("dead.test", delivered)
		if _, err := w.queue.Flush(context.Background(), "dead.test"); err != nil {
			t.Error(err)
		}
		pass(2 * time.Second)
		if w.waiting() != 0 {
			t.Error("it still waits")
		}
	})
}

func TestSendAt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		s := submission(t, "me@us.test", "you@a.test")
		s.SendAt = time.Now().Add(2 * time.Hour)
		if _, err := w.queue.Submit(context.Background(), s, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		pass(119 * time.Minute)
		if n := len(w.tries("a.test")); n != 0 {
			t.Fatalf("%d attempts before its time", n)
		}
		pass(2 * time.Minute)
		if w.waiting() != 0 {
			t.Error("it still waits")
		}
	})
}

func TestRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) {
			c.PerDestinations = []queue.Override{{Domains: []string{"slow.test"}, Rate: 6}}
		})
		for i := range 20 {
			w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		pass(61 * time.Second)
		if n := len(w.tries("slow.test")); n < 6 || n > 8 {
			t.Errorf("%d attempts in a minute, want about 6", n)
		}
		pass(5 * time.Minute)
		if w.waiting() != 0 {
			t.Errorf("%d still wait", w.waiting())
		}
	})
}

// The rate of a destination holds also when nothing of it is left in memory between two messages.
func TestRateOfAnIdleDestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) {
			c.PerDestinations = []queue.Override{{Domains: []string{"slow.test"}, Rate: 6}}
		})
		for range 3 {
			w.submit("me@us.test", "you@slow.test")
			pass(time.Second)
		}
		if n := len(w.tries("slow.test")); n != 1 {
			t.Errorf("%d attempts in three seconds at a rate of one in ten", n)
		}
		pass(time.Minute)
		if w.waiting() != 0 {
			t.Errorf("%d still wait", w.waiting())
		}
	})
}
