package storetest_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
	"sternpost/queue/storetest"
)

var _ queue.Store = storetest.NewMemory()

func submission() queue.Submission {
	received := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return queue.Submission{
		Envelope: mail.Envelope{Recipients: []mail.Recipient{{Address: mail.Address{Local: "a", Domain: "example.org"}}}},
		Received: received, Expires: received.Add(time.Hour),
	}
}

func TestFailCommitsStops(t *testing.T) {
	m := storetest.NewMemory()
	draft, err := m.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.FailCommits(io.ErrUnexpectedEOF)
	if _, err := draft.Commit(t.Context(), submission(), nil); !errors.Is(err, queue.ErrStopped) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the commit that fails: %v", err)
	}
	select {
	case <-m.Failed():
	default:
		t.Error("Failed is not closed")
	}
	if _, err := m.Begin(t.Context()); !errors.Is(err, queue.ErrStopped) {
		t.Errorf("Begin behind it: %v", err)
	}
	if err := m.Settle(t.Context(), nil); !errors.Is(err, queue.ErrStopped) {
		t.Errorf("Settle behind it: %v", err)
	}
}

func TestSetFull(t *testing.T) {
	m := storetest.NewMemory()
	draft, err := m.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.SetFull(true)
	if _, err := m.Begin(t.Context()); !errors.Is(err, queue.ErrFull) {
		t.Errorf("Begin: %v", err)
	}
	if _, err := draft.Commit(t.Context(), submission(), nil); !errors.Is(err, queue.ErrFull) {
		t.Errorf("Commit: %v", err)
	}
	m.SetFull(false)
	if draft, err = m.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if work, err := draft.Commit(t.Context(), submission(), nil); err != nil || len(work) != 1 {
		t.Errorf("Commit with space again: %v, %v", work, err)
	}
	if counts := m.Counts(); counts.Begin != 3 || counts.Commit != 2 {
		t.Errorf("counts %+v", counts)
	}
}

func TestMemory(t *testing.T) {
	open := func(*testing.T) queue.Store { return storetest.NewMemory() }
	storetest.Run(t, open)
	storetest.RunReopen(t, open, func(t *testing.T, s queue.Store) queue.Store {
		m, ok := s.(*storetest.Memory)
		if !ok {
			t.Fatalf("%T is not what open gave", s)
		}
		return m.Reopen()
	})
}
