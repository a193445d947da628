package webhook

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// diary is a journal in memory, and the bookmarks beside it.
type diary struct {
	mu      sync.Mutex
	entries []journal.Entry
	places  map[string]journal.Cursor
	saves   int
	broken  bool // bookmarks cannot be saved
}

func newDiary() *diary { return &diary{places: map[string]journal.Cursor{}} }

// write adds an entry of a kind about a recipient.
func (d *diary) write(kind journal.Kind, recipient string) {
	d.add(journal.Entry{Kind: kind, Message: "m", Sender: "a@us.test", Recipient: recipient, Domain: "b.example", Code: 550, Status: mail.Status{5, 1, 1}, Reply: []string{"550 5.1.1 no"}})
}

func (d *diary) add(e journal.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.Cursor = journal.Cursor{Time: time.Now()}
	if n := len(d.entries); n > 0 && !e.Cursor.Time.After(d.entries[n-1].Cursor.Time) {
		e.Cursor = journal.Cursor{Time: d.entries[n-1].Cursor.Time, Seq: d.entries[n-1].Cursor.Seq + 1}
	}
	d.entries = append(d.entries, e)
}

// forget drops the first n entries.
func (d *diary) forget(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = d.entries[n:]
}

func (d *diary) Find(_ context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	d.mu.Lock()
	list := slices.Clone(d.entries)
	d.mu.Unlock()
	if q.Newest {
		slices.Reverse(list)
	}
	return func(yield func(journal.Entry, error) bool) {
		n := 0
		for _, e := range list {
			behind := e.Cursor.Time.After(q.After.Time) || e.Cursor.Time.Equal(q.After.Time) && e.Cursor.Seq > q.After.Seq
			if !q.Newest && !behind {
				continue
			}
			if n++; !yield(e, nil) || n == q.Limit {
				return
			}
		}
	}
}

func (d *diary) Bookmark(_ context.Context, reader string) (journal.Cursor, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, known := d.places[reader]
	return at, known, nil
}

func (d *diary) breakDown(broken bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = broken
}

func (d *diary) SetBookmark(ctx context.Context, reader string, at journal.Cursor) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		return errors.New("broken")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d.saves++
	d.places[reader] = at
	return nil
}

// hangs is the status of no answer.
const hangs = -1

// receiver answers requests in memory, so that time may pass in a bubble.
type receiver struct {
	mu     sync.Mutex
	answer func(n int) (status int, header http.Header) // nil: 200
	got    []received
}

type received struct {
	at     time.Time
	header http.Header
	body   string
}

func (r *receiver) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, received{time.Now(), request.Header, string(body)})
	status, header := http.StatusOK, http.Header(nil)
	if r.answer != nil {
		status, header = r.answer(len(r.got))
	}
	switch status {
	case 0:
		return nil, errors.New("connection refused")
	case hangs:
		r.mu.Unlock()
		<-request.Context().Done()
		<-time.After(time.Second) // whoever ends waits for it
		r.mu.Lock()
		return nil, request.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("thank you")), Request: request}, nil
}

// recipients are those of what came, in order.
func (r *receiver) recipients() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, one := range r.got {
		_, rest, _ := strings.Cut(one.body, `"recipient":"`)
		name, _, _ := strings.Cut(rest, "@")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func (r *receiver) take() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// begin runs a Notifier with one endpoint; end stops it and waits.
func begin(t *testing.T, d *diary, r http.RoundTripper, change ...func(*Endpoint)) (n *Notifier, end func()) {
	t.Helper()
	e := Endpoint{URL: "https://hooks.example/events?token=hidden", Secrets: []string{secret}}
	for _, f := range change {
		f(&e)
	}
	n, err := New([]Endpoint{e}, Deps{Journal: d, Bookmarks: d, Transport: r, Agent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	synctest.Wait()
	return n, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pass lets time pass, and everything that is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
