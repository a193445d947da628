package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// Run runs the conformance suite. Each test gets an empty store from open and closes it; open leaves that to the suite. The suite runs in real time and
// starts goroutines, which all end before it returns.
func Run(t *testing.T, open func(t *testing.T) queue.Store) {
	t.Helper()
	groups := map[string]map[string]func(*trial){
		"accept": acceptTests(), "key": keyTests(), "lease": leaseTests(), "fairness": fairnessTests(), "overdue": overdueTests(), "settle": settleTests(),
		"report": reportTests(), "suppression": suppressionTests(), "bookmark": bookmarkTests(),
		"change": changeTests(), "messages": messagesTests(), "destinations": destinationsTests(), "journal": journalTests(),
		"property": propertyTests(nil),
	}
	for group, tests := range groups {
		t.Run(group, func(t *testing.T) { runAll(t, open, tests) })
	}
}

// Reopen ends a store, in order or as a crash does, and returns what the next process finds at the same place.
type Reopen func(t *testing.T, s queue.Store) queue.Store

// RunReopen runs the part of the suite that ends the store in between. It closes only what was opened last.
func RunReopen(t *testing.T, open func(t *testing.T) queue.Store, reopen Reopen) {
	t.Helper()
	t.Run("reopen", func(t *testing.T) { runAll(t, open, reopenTests(reopen)) })
	t.Run("property", func(t *testing.T) { runAll(t, open, propertyTests(reopen)) })
}

func runAll(t *testing.T, open func(t *testing.T) queue.Store, tests map[string]func(*trial)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &trial{T: t, store: open(t)}
			defer func() {
				if err := r.store.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			test(r)
		})
	}
}

// trial is one test of one store.
type trial struct {
	*testing.T
	store queue.Store
}

// start is when everything begins; the times of the suite are counted from here.
func start() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// after is start and so many minutes.
func after(minutes int) time.Time { return start().Add(time.Duration(minutes) * time.Minute) }

// never is behind all times that the suite uses but for the lifetimes.
func never() time.Time { return start().AddDate(1, 0, 0) }

// letter is a submission at start.
func letter(sender string, recipients ...string) queue.Submission {
	from, _ := mail.ParseReversePath(sender) // the suite writes valid ones
	s := queue.Submission{
		Envelope: mail.Envelope{From: from}, Sender: sender, Received: start(), Expires: never().AddDate(1, 0, 0), Peer: "the suite",
	}
	for _, text := range recipients {
		address, _ := mail.ParseAddress(text)
		s.Envelope.Recipients = append(s.Envelope.Recipients, mail.Recipient{Address: address})
	}
	return s
}

// accept commits a message and returns its work, leased.
func (r *trial) accept(s queue.Submission, content string, entries ...journal.Entry) []queue.Owed {
	r.Helper()
	draft, err := r.store.Begin(r.Context())
	if err != nil {
		r.Fatalf("Begin: %v", err)
	}
	if _, err := io.WriteString(draft, content); err != nil {
		r.Fatalf("Write: %v", err)
	}
	work, err := draft.Commit(r.Context(), s, entries)
	if err != nil {
		r.Fatalf("Commit: %v", err)
	}
	return work
}

// waiting commits a message and gives its leases back.
func (r *trial) waiting(s queue.Submission) queue.ID {
	r.Helper()
	work := r.accept(s, "Subject: waiting\r\n\r\n"+s.Sender)
	r.store.Return(work)
	return work[0].ID
}

// lease leases all that is due.
func (r *trial) lease(now time.Time) []queue.Owed {
	r.Helper()
	return r.want(queue.Want{Now: now, Most: 10_000, PerDestination: 10_000})
}

func (r *trial) want(w queue.Want) []queue.Owed {
	r.Helper()
	work, err := r.store.Lease(r.Context(), w)
	if err != nil {
		r.Fatalf("Lease: %v", err)
	}
	return work
}

func (r *trial) overdue(now time.Time) []queue.Owed {
	r.Helper()
	work, err := r.store.Overdue(r.Context(), now, 10_000)
	if err != nil {
		r.Fatalf("Overdue: %v", err)
	}
	return work
}

func (r *trial) settle(work ...queue.Settlement) {
	r.Helper()
	if err := r.store.Settle(r.Context(), work); err != nil {
		r.Fatalf("Settle: %v", err)
	}
}

func (r *trial) suspend(destination mail.Domain, until time.Time) {
	r.Helper()
	if err := r.store.Suspend(r.Context(), destination, until); err != nil {
		r.Fatalf("Suspend: %v", err)
	}
}

func (r *trial) messages(q queue.Query) []queue.Message {
	r.Helper()
	return collect(r, "Messages", r.store.Messages(r.Context(), q))
}

func (r *trial) entries(q journal.Query) []journal.Entry {
	r.Helper()
	return collect(r, "Find", r.store.Journal().Find(r.Context(), q))
}

func collect[T any](r *trial, what string, sequence iter.Seq2[T, error]) []T {
	r.Helper()
	var list []T
	for element, err := range sequence {
		if err != nil {
			r.Fatalf("%s: %v", what, err)
		}
		list = append(list, element)
	}
	return list
}

// all is the settlement of o with one state for each of its recipients.
func all(o queue.Owed, s queue.RecipientState) queue.Settlement {
	settlement := queue.Settlement{ID: o.ID, Destination: o.Destination, States: map[int]queue.RecipientState{}}
	for _, i := range o.Indices {
		settlement.States[i] = s
	}
	return settlement
}

// deferred is the state of a recipient that is due again.
func deferred(due time.Time, reason string) queue.RecipientState {
	return queue.RecipientState{Attempts: 1, Due: due, Last: mail.Outcome{Disposition: mail.Deferred, Reason: reason}}
}

func delivered() queue.RecipientState {
	return queue.RecipientState{State: queue.Delivered, Attempts: 1, Last: mail.Outcome{Disposition: mail.Delivered}}
}

// expect compares and says what was wanted.
func expect[T comparable](r *trial, what string, got, want T) {
	r.Helper()
	if got != want {
		r.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// expectWork compares work with ids and destinations in any order.
func (r *trial) expectWork(what string, work []queue.Owed, want ...queue.ID) {
	r.Helper()
	got := ids(work)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func ids(work []queue.Owed) []queue.ID {
	var list []queue.ID
	for _, o := range work {
		list = append(list, o.ID)
	}
	return list
}

func destinations(work []queue.Owed) string {
	var list []mail.Domain
	for _, o := range work {
		list = append(list, o.Destination)
	}
	return fmt.Sprint(list)
}

// expectContent reads c and compares it.
func (r *trial) expectContent(what string, c mail.Content, want string) {
	r.Helper()
	if c == nil {
		r.Fatalf("%s: there is no content", what)
	}
	reader, err := c.Open()
	if err != nil {
		r.Fatalf("%s: Open: %v", what, err)
	}
	got, err := io.ReadAll(reader)
	if err := cmp.Or(err, reader.Close()); err != nil {
		r.Fatalf("%s: %v", what, err)
	}
	if !bytes.Equal(got, []byte(want)) || c.Size() != int64(len(want)) {
		r.Errorf("%s: got %d octets, Size %d, want %d", what, len(got), c.Size(), len(want))
	}
}

// text is m in a form that two readings of the same message share: times in UTC, an empty list like none.
func text(m queue.Message) string {
	m.Received, m.SendAt, m.Expires = m.Received.UTC(), m.SendAt.UTC(), m.Expires.UTC()
	m.Recipients = slices.Clone(m.Recipients)
	for i := range m.Recipients {
		m.Recipients[i].Due = m.Recipients[i].Due.UTC()
	}
	return fmt.Sprintf("%+v", m)
}
