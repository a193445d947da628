package delivery

import (
	"context"
	"sync"
	"time"

	"sternpost/mail"
)

// gate keeps us from cutting off content on its way when we are stopping.
type gate struct {
	sync.Mutex
	sending bool
}

// stop ends the session, unless content is on its way: that goes on up to its reply.
func (s *session) stop() {
	s.gate.Lock()
	defer s.gate.Unlock()
	if !s.gate.sending {
		s.raw.Close()
	}
}

func (s *session) isSending() bool {
	s.gate.Lock()
	defer s.gate.Unlock()
	return s.gate.sending
}

func (s *session) setSending(sending bool) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.gate.sending = sending
}

// visit is what a session knows of the attempt that uses it now.
type visit struct {
	ctx    context.Context
	cutoff context.Context // of content on its way
	until  time.Time       // when the share of the budget ends; holds up to the content
	record func(mail.StageRecord)

	replies      int           // read so far
	kept         int           // octets of replies in the tree
	transmitted  bool          // content was sent for at least one recipient that was accepted
	flightEnds   time.Time     // the deadline of a flight that holds the content; zero: there is none
	contentSince time.Time     // when the content on its way was begun; zero: none is
	contentTook  time.Duration // the time spent with content and the wait for its reply
}

// take makes s ready for the attempt that uses it next.
func (s *session) take(ctx context.Context, until time.Time, record func(mail.StageRecord)) {
	s.visit = visit{ctx: ctx, cutoff: ctx, until: until, record: record}
}

// beginContent notes that content is on its way, and the envelope answered. From here to endContent the budget of the attempt neither cuts anything nor
// is spent. The envelope of a flight that held the content may have gone on beyond its share: that time was the content's.
func (s *session) beginContent() {
	s.contentSince = earlier(time.Now(), s.until)
	s.setSending(true)
}

func (s *session) endContent() {
	if s.contentSince.IsZero() && !s.flightEnds.IsZero() {
		s.beginContent()
	}
	if !s.contentSince.IsZero() {
		took := time.Since(s.contentSince)
		s.contentTook += took
		s.until = s.until.Add(took)
	}
	s.contentSince, s.flightEnds = time.Time{}, time.Time{}
	s.setSending(false)
}
