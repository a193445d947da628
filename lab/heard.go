package lab

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// Bounds of what a world keeps.
const (
	mostMessages = 1000
	mostOctets   = 64 << 20
)

// kept is the mail that arrived, oldest first.
type kept struct {
	messages []Received
	number   int // of the last one
	octets   int64
}

// add keeps a message and gives it its number; the oldest make room.
func (k *kept) add(r *Received) {
	k.number++
	r.Number = k.number
	k.messages = append(k.messages, *r)
	k.octets += int64(len(r.Content))
	for len(k.messages) > mostMessages || k.octets > mostOctets && len(k.messages) > 1 {
		k.octets -= int64(len(k.messages[0].Content))
		k.messages = slices.Delete(k.messages, 0, 1)
	}
}

// replies gathers the lines of replies by connection, and what they answer. It is safe for concurrent use.
type replies struct {
	mu    sync.Mutex
	lines map[int]Reply
	verbs map[int]string // of the last command, in capitals; none: the greeting is to come
}

func newReplies() replies { return replies{lines: map[int]Reply{}, verbs: map[int]string{}} }

// command notes what the next reply answers.
func (r *replies) command(connection int, line string) {
	verb, _, _ := strings.Cut(line, " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verbs[connection] = strings.ToUpper(verb)
}

// refuses says whether the reply refuses a client or a message whole: at the greeting, at the last of the two hellos, or at MAIL.
func (r *replies) refuses(connection int, y Reply) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	verb := r.verbs[connection]
	hello := verb == "HELO" || verb == "EHLO" && strings.HasPrefix(y.Last(), "421")
	return (verb == "" || hello || verb == "MAIL") && y.Last() >= "4"
}

// longest is how many lines a reply has before it is told although it has not come to its end.
const longest = 100

// add returns the reply when the line is its last one.
func (r *replies) add(connection int, line string) Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := append(r.lines[connection], line)
	if len(line) > 3 && line[3] == '-' && len(all) < longest {
		r.lines[connection] = all
		return nil
	}
	delete(r.lines, connection)
	return all
}

func (r *replies) drop(connection int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.lines, connection)
	delete(r.verbs, connection)
}

// tell gives the event its number and time, and hands it on.
func (w *World) tell(e Event) { w.tellOf(nil, e) }

// tellOf is tell for what happened at a host, which counts it. The list of hosts may not be whole yet.
func (w *World) tellOf(h *host, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e.Since = e.At.Sub(w.began)
	w.events++
	e.Number = w.events
	if e.Message != nil {
		e.Message.Since = e.Since
		w.kept.add(e.Message)
	}
	w.sight.Add(e)
	if e.Kind == EventQuestion {
		w.questions++
	}
	if h != nil {
		h.counted.count(e)
	}
	if w.watch != nil {
		w.watch(e)
	}
	w.changed.Broadcast()
}

// heard translates what a server observes.
func (w *World) heard(h *host, seen smtptest.Event) {
	e := Event{
		At: seen.At, Host: h.Name, Address: h.Address.String(), Client: seen.Remote.String(),
		Connection: seen.Connection, Line: seen.Line,
	}
	switch seen.Kind {
	case smtptest.Connected:
		e.Kind = EventConnected
	case smtptest.Secured:
		e.Kind = EventTLS
	case smtptest.Unsecured:
		e.Kind, e.Line, e.Error = EventTLS, "", seen.Line
	case smtptest.Heard:
		e.Kind = EventCommand
		h.replies.command(seen.Connection, seen.Line)
	case smtptest.Said:
		if e.Reply = h.replies.add(seen.Connection, seen.Line); e.Reply == nil {
			return // there is more of it to come
		}
		e.Kind, e.Line = EventReply, ""
		e.refuses = h.replies.refuses(seen.Connection, e.Reply)
	case smtptest.Judged:
		e.Kind, e.Sender, e.Recipient, e.Reply = EventRecipient, seen.Transaction.From(), seen.Recipient.Address, Reply{seen.Recipient.Reply}
	case smtptest.Received:
		e.Kind = EventMessage
		if seen.Transaction.ContentReply != "" {
			e.Reply = Reply{seen.Transaction.ContentReply}
		}
		e.Message = received(e, seen.Transaction)
	case smtptest.Ended:
		h.replies.drop(seen.Connection)
		e.Kind = EventEnded
	}
	w.tellOf(h, e)
}

func received(e Event, t smtptest.Transaction) *Received {
	return &Received{
		At: e.At, Host: e.Host, Address: e.Address, Client: e.Client, Connection: e.Connection,
		Sender: t.From(), Recipients: t.To(), Subject: subject(t.Content), TLS: t.TLS, Size: t.Size,
		Reply: e.Reply, Accepted: t.ContentAccepted, Content: t.Content,
	}
}

// subject is the decoded subject of a message, empty where it has none or is no message.
func subject(content []byte) string {
	message, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return ""
	}
	return DecodeSubject(message.Header.Get("Subject"))
}

// DecodeSubject is a subject without the encoding of RFC 2047; as it is where that cannot be undone.
func DecodeSubject(raw string) string {
	if decoded, err := new(mime.WordDecoder).DecodeHeader(raw); err == nil {
		return decoded
	}
	return raw
}

func (w *World) heardQuestion(a dnstest.Answer) {
	w.tell(Event{Kind: EventQuestion, Line: a.Name + " " + a.Type, RCode: a.RCode, Records: a.Records})
}

// Messages returns what arrived and is still kept, oldest first. The contents are not to be changed.
func (w *World) Messages() []Received {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.kept.messages)
}

// WaitMessages waits until at least n messages arrived in all and returns those that are kept. It fails when ctx ends or the world is closed first.
func (w *World) WaitMessages(ctx context.Context, n int) ([]Received, error) {
	err := w.wait(ctx, func() bool { return w.kept.number >= n })
	return w.Messages(), err
}

// wait blocks until ready, which is called under the lock, returns true.
func (w *World) wait(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changed.Broadcast()
	})
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !ready() {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case w.closed:
			return fmt.Errorf("the world was closed")
		}
		w.changed.Wait()
	}
	return nil
}
