package queue

import (
	"bytes"
	"io"
	"slices"

	"sternpost/dsn"
	"sternpost/mail"
)

// expanding has the sender told that his message went to an alias of several addresses, where NOTIFY asks for a word of success (RFC 3461 s5.2.7.3 b): the report is accepted in the
// commit of the message, so there is exactly one. It names none of the addresses: who they are may be nobody's business (s5.2.7.4). expanding says where the content is to be written.
func (q *Queue) expanding(s *Submission, draft io.Writer) io.Writer {
	if s.Envelope.From.IsNull() || s.Origin != 0 { // RFC 5321 s4.5.5
		return draft
	}
	var about []dsn.Recipient
	for _, r := range s.Expanded {
		if slices.Contains(r.Notify, "SUCCESS") {
			about = append(about, dsn.Recipient{
				Final: r.Address, OriginalType: r.OriginalType, Original: r.Original, Action: dsn.Expanded, Status: mail.Status{2, 0, 0},
			})
		}
	}
	if len(about) == 0 {
		return draft
	}
	head := &beginning{}
	message, t := *s, terms{config: *q.current(), now: s.Received}
	s.Reports = func(id ID) []Spawned {
		o := Owed{Message: Message{ID: id, Submission: message}, Content: head}
		report, ok := q.spawn(o, q.report(o, about, t), t)
		if !ok {
			return nil
		}
		return []Spawned{report}
	}
	return io.MultiWriter(draft, head)
}

// beginning keeps as much of a content as a report looks at.
type beginning struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	_, err := b.Buffer.Write(p[:min(len(p), dsn.MaxOriginal+1-b.Len())])
	return len(p), err
}

// Open implements mail.Content.
func (b *beginning) Open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(b.Bytes())), nil
}

// Size implements mail.Content.
func (b *beginning) Size() int64 { return int64(b.Len()) }
