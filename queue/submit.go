package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// Submit takes a message over. When it returns nil the message is durable and we answer for it (RFC 5321 s6.1); after an error
// nothing was accepted. Received and Expires are filled in where they are zero, and Expires is brought forward to the end of the configured lifetime. Digest is that of
// content: see Digester. The errors are ErrFull and ErrStopped, ErrOtherContent, ErrOver, the error of content's reader, and what is wrong with the envelope or the key.
// It may be called concurrently, also before Run.
func (q *Queue) Submit(ctx context.Context, s Submission, content io.Reader) (Accepted, error) {
	if err := s.check(); err != nil {
		return Accepted{}, err
	}
	if q.complete(&s); !s.Expires.After(s.begin()) {
		return Accepted{}, ErrOver
	}
	draft, err := q.store.Begin(ctx)
	if err != nil {
		return Accepted{}, err
	}
	defer draft.Abort()
	if err := s.fill(q.expanding(&s, draft), content); err != nil {
		return Accepted{}, fmt.Errorf("taking the content: %w", err)
	}
	owed, err := draft.Commit(ctx, s, []journal.Entry{acceptedEntry(s)})
	if err != nil {
		return repeated(err)
	}
	accepted := Accepted{ID: owed[0].ID}
	if q.ready(owed); s.Reports != nil {
		q.poke()
	}
	return accepted, nil
}

// check says what is wrong with what a client wants.
func (s Submission) check() error {
	if len(s.Envelope.Recipients) == 0 {
		return errors.New("a message needs a recipient")
	}
	if s.Key != "" {
		if err := CheckKey(s.Key); err != nil {
			return err
		}
	}
	aliases := mail.Envelope{Recipients: s.Expanded}
	return errors.Join(s.Envelope.Check(), aliases.Check())
}

// repeated tells the message that was accepted before from one that is refused.
func repeated(err error) (Accepted, error) {
	var before *RepeatedError
	if errors.As(err, &before) {
		return Accepted{ID: before.ID, Repeated: true}, nil
	}
	return Accepted{}, err
}

// complete fills in what a submission leaves open. A message of ours or of others about mail, one with the null reverse-path, lives and waits as a report does. A client
// may want a shorter lifetime than the configured one, and not a longer.
func (q *Queue) complete(s *Submission) {
	if s.Received.IsZero() {
		s.Received = q.now()
	}
	if s.Sender == "" {
		s.Sender = s.Envelope.From.String()
	}
	if s.Envelope.From.IsNull() {
		s.Priority = Report
	}
	if end := s.begin().Add(q.lifetime(s.Envelope)); s.Expires.IsZero() || s.Expires.After(end) {
		s.Expires = end
	}
	s.Notice = terms{config: *q.current(), now: s.Received}.notice(*s)
}

// lifetime is the longest of a message's destinations; each has its own: see terms.expires.
func (q *Queue) lifetime(e mail.Envelope) time.Duration {
	c := q.current()
	if e.From.IsNull() {
		return c.ReportLifetime
	}
	longest := time.Duration(0)
	for _, r := range e.Recipients {
		longest = max(longest, c.forDestination(r.Address.Domain).Lifetime)
	}
	return longest
}

func acceptedEntry(s Submission) journal.Entry {
	return journal.Entry{Kind: journal.Accepted, Sender: s.Envelope.From.String(), MessageID: s.MessageID, Reason: s.Peer}
}

// ready hands accepted work to the schedule. Where too much waits in memory already, or it is not yet time, the store keeps it.
func (q *Queue) ready(owed []Owed) {
	var early []Owed
	for _, o := range owed {
		if o.SendAt.After(o.Received) {
			early = append(early, o)
			continue
		}
		select {
		case q.accepted <- o:
		default:
			early = append(early, o)
		}
	}
	if len(early) > 0 {
		q.store.Return(early)
		q.poke()
	}
}
