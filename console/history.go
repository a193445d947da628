package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// showMessage answers with a message that is in the queue, or with what became of one that was.
func (c *Console) showMessage(w http.ResponseWriter, r *http.Request) error {
	id, err := queue.ParseID(r.PathValue("id"))
	if err != nil {
		return refuse("%q %s", r.PathValue("id"), err)
	}
	told, err := c.find(r.Context(), id)
	if err != nil {
		return err
	}
	if user := CallerOf(r).User; user != "" && !told.of(user) {
		return queue.ErrNotFound // that it is there is nobody else's business
	}
	answer(w, told)
	return nil
}

// find looks into the queue first. What is not there any more has all its entries in the journal: they were written in the commit that took it out.
func (c *Console) find(ctx context.Context, id queue.ID) (Message, error) {
	m, err := c.queue.Message(ctx, id)
	if err == nil {
		return messageOf(m), nil
	}
	if c.journal == nil {
		return Message{}, err
	}
	h := history{message: Message{ID: id.String(), Recipients: []Recipient{}}, places: map[string]int{}, attempts: map[string]string{}}
	found := false
	for e, failure := range c.journal.Find(ctx, journal.Query{Message: id.String()}) {
		if failure != nil {
			return Message{}, failure
		}
		found = true
		h.add(e)
	}
	if !found {
		return Message{}, err
	}
	return h.message, nil
}

// history gathers what the journal tells of one message. It keeps the last outcome of each recipient, however many there were.
type history struct {
	message  Message
	places   map[string]int    // of the recipients in the message
	attempts map[string]string // the last attempt of each recipient
}

func (h *history) add(e journal.Entry) {
	m := &h.message
	m.Sender = e.Sender
	if e.MessageID != "" {
		m.MessageID = e.MessageID
	}
	if e.Kind == journal.Accepted {
		m.Received, m.Peer = timeOrNull(e.Cursor.Time), e.Reason
	}
	if e.Recipient == "" {
		return
	}
	i, known := h.places[e.Recipient]
	if !known {
		i = len(m.Recipients)
		h.places[e.Recipient] = i
		m.Recipients = append(m.Recipients, Recipient{Recipient: e.Recipient, Domain: string(e.Domain), State: stateName(queue.Pending)})
	}
	r := &m.Recipients[i]
	switch e.Kind {
	case journal.Delivered, journal.Failed, journal.Deferred:
		r.State, r.InDoubt, r.Last = stateOf(e.Kind), e.InDoubt, lastOf(e)
		if e.AttemptID != "" && e.AttemptID != h.attempts[e.Recipient] {
			h.attempts[e.Recipient] = e.AttemptID
			r.Attempts++
		}
	case journal.Removed:
		r.State = stateName(queue.Removed)
	case journal.Lost:
		r.State = string(journal.Lost)
	}
}

// stateOf is the state in which an outcome leaves a recipient.
func stateOf(k journal.Kind) string {
	if k == journal.Deferred {
		return stateName(queue.Pending)
	}
	return string(k)
}

// lastOf is the outcome that an entry tells of.
func lastOf(e journal.Entry) *Outcome {
	told := &Outcome{
		Recipient: e.Recipient, Disposition: string(e.Kind), InDoubt: e.InDoubt, Scope: string(e.Scope), Stage: string(e.Stage), Status: e.Status.String(),
		Reply: slices.Clone(e.Reply), Host: e.Host, Address: remoteOf(e), Reason: e.Reason,
	}
	if told.Reply == nil {
		told.Reply = []string{}
	}
	if e.Code != 0 {
		told.Code = &e.Code
	}
	return told
}

// remoteOf is the address of the host that decided, where the entry has the tree of its attempt.
func remoteOf(e journal.Entry) string {
	if e.Attempt == nil {
		return ""
	}
	i := slices.IndexFunc(e.Attempt.Outcomes, func(o mail.Outcome) bool { return o.Recipient.String() == e.Recipient && o.IP.IsValid() })
	if i < 0 {
		return ""
	}
	return e.Attempt.Outcomes[i].IP.String()
}

// of says whether the message is one that a user has handed in. Of a message that is gone the journal has kept who he was in the words of its peer: the user, and where he
// came from.
func (m Message) of(user string) bool {
	return m.InQueue && m.Account == user || !m.InQueue && (m.Peer == user || strings.HasPrefix(m.Peer, user+" at "))
}
