package console

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

type fakeJournal []journal.Entry

func (f fakeJournal) Find(_ context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, e := range f {
			if e.Kind == "broken" && !yield(journal.Entry{}, errors.New("the journal is broken")) {
				return
			}
			if e.Message == q.Message && !yield(e, nil) {
				return
			}
		}
	}
}

// What is gone is told from the journal, recipient by recipient.
func TestMessagesThatAreGone(t *testing.T) {
	const id = "0000000000009"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	entry := func(k journal.Kind, to, attempt string, code int) journal.Entry {
		return journal.Entry{
			Cursor: journal.Cursor{Time: at}, Kind: k, Message: id, Sender: "me@client.test", Recipient: to, Domain: "example.test", MessageID: "m@client.test",
			Code: code, AttemptID: attempt, Status: mail.Status{code / 100, 0, 0}, Host: "mx.example.test",
		}
	}
	accepted := journal.Entry{Cursor: journal.Cursor{Time: at}, Kind: journal.Accepted, Message: id, Sender: "me@client.test", MessageID: "m@client.test", Reason: "app at 192.0.2.1"}
	other := entry(journal.Delivered, "them@example.test", "z", 250)
	other.Message = "0000000000008"
	j := fakeJournal{
		accepted, other, entry(journal.Deferred, "you@example.test", "a", 450), entry(journal.Deferred, "late@example.test", "a", 450), entry(journal.Changed, "late@example.test", "", 0),
		entry(journal.Delivered, "you@example.test", "b", 250), entry(journal.Failed, "late@example.test", "b", 550), entry(journal.Failed, "old@example.test", "", 0), entry(journal.Removed, "gone@example.test", "", 0),
	}
	check := newValidator(t)
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Journal: j})
	response, text := ask(t, client, get(t, "/v1/messages/"+id))
	var m Message
	if err := json.Unmarshal([]byte(text), &m); err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %d %s", err, response.StatusCode, text)
	}
	if err := check.CheckAnswer(get(t, "/v1/messages/"+id), response, []byte(text)); err != nil {
		t.Error(err)
	}
	if m.InQueue || m.Sender != "me@client.test" || m.MessageID != "m@client.test" || m.Peer != "app at 192.0.2.1" || m.Received == nil || !m.Received.Equal(at) || len(m.Recipients) != 4 {
		t.Fatalf("got %s", text)
	}
	for i, want := range []struct {
		recipient, state string
		attempts, code   int
	}{{"you@example.test", "delivered", 2, 250}, {"late@example.test", "failed", 2, 550}, {"old@example.test", "failed", 0, 0}, {"gone@example.test", "removed", 0, 0}} {
		r, code := m.Recipients[i], 0
		if r.Last != nil && r.Last.Code != nil {
			code = *r.Last.Code
		}
		if r.Recipient != want.recipient || r.State != want.state || r.Attempts != want.attempts || code != want.code {
			t.Errorf("got %+v, want %+v", r, want)
		}
	}
	if response, _ := ask(t, client, get(t, "/v1/messages/0000000000007")); response.StatusCode != 404 {
		t.Errorf("a message that never was: %d", response.StatusCode)
	}
	for _, user := range []string{"app", "ap", "app at", "other", "192.0.2.1"} {
		if m.of(user) != (user == "app") {
			t.Errorf("%s: the message is his: %v", user, m.of(user))
		}
	}
}
