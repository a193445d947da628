package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// Message is a message as callers see it. Times are in UTC and null where there is none.
type Message struct {
	ID string `json:"id"`
	// InQueue says that somebody still waits for it, or that it is under way. Of what is gone the size, the account, the priority and the other times are not known.
	InQueue    bool        `json:"in_queue"`
	Sender     string      `json:"sender"` // reverse-path; empty: the null one
	Account    string      `json:"account"`
	Peer       string      `json:"peer"`
	MessageID  string      `json:"message_id"`
	Priority   string      `json:"priority"`
	Size       int64       `json:"size"`
	Received   *time.Time  `json:"received"`
	SendAt     *time.Time  `json:"send_at"`
	Expires    *time.Time  `json:"expires"`
	Origin     string      `json:"origin"`
	Recipients []Recipient `json:"recipients"`
}

// Recipient is one recipient of a Message.
type Recipient struct {
	Recipient string     `json:"recipient"`
	Domain    string     `json:"domain"`
	State     string     `json:"state"`
	Attempts  int        `json:"attempts"`
	Next      *time.Time `json:"next"`
	InDoubt   bool       `json:"in_doubt"`
	Last      *Outcome   `json:"last"`
}

// Outcome is mail.Outcome as it is read back: it has the same keys.
type Outcome struct {
	Recipient   string   `json:"recipient"`
	Disposition string   `json:"disposition"`
	InDoubt     bool     `json:"in_doubt"`
	Scope       string   `json:"scope"`
	Stage       string   `json:"stage"`
	Code        *int     `json:"code"`
	Status      string   `json:"status"`
	Reply       []string `json:"reply"`
	Host        string   `json:"host"`
	Address     string   `json:"address"`
	Reason      string   `json:"reason"`
}

// MessageList is the answer to a list that is one object.
type MessageList struct {
	Messages []Message `json:"messages"`
	// More says that the limit left some out.
	More bool `json:"more"`
}

// typeLines is the media type of a list that is one object a line.
const typeLines = "application/x-ndjson"

// Bounds of a list that is one object, and so is held in memory.
const (
	usualList   = 100
	longestList = 10_000
)

// listMessages answers with one object; where the caller accepts typeLines, with one message a line, without a bound.
func (c *Console) listMessages(w http.ResponseWriter, r *http.Request) error {
	selection, err := selectionOf(r.URL.Query())
	if err != nil {
		return err
	}
	query, err := selection.query(time.Now())
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), typeLines) {
		return c.streamMessages(w, r, query)
	}
	limit := min(cmp.Or(query.Limit, usualList), longestList)
	query.Limit = limit + 1
	list := MessageList{Messages: []Message{}}
	for m, err := range c.messages(r.Context(), query) {
		if err != nil {
			return err
		}
		if len(list.Messages) == limit {
			list.More = true
			break
		}
		list.Messages = append(list.Messages, messageOf(m))
	}
	answer(w, list)
	return nil
}

// flushEvery is how many lines are gathered at most before they are sent.
const flushEvery = 100

// streamMessages writes a message a line.
func (c *Console) streamMessages(w http.ResponseWriter, r *http.Request, query queue.Query) error {
	return streamLines(w, func(yield func(Message, error) bool) {
		for m, err := range c.messages(r.Context(), query) {
			if !yield(messageOf(m), err) || err != nil {
				return
			}
		}
	})
}

// messageOf is m as callers see it.
func messageOf(m queue.Message) Message {
	told := Message{
		ID: m.ID.String(), InQueue: true, Sender: m.Envelope.From.String(), Account: m.Sender, Peer: m.Peer, MessageID: m.MessageID, Priority: priorityName(m.Priority),
		Size: m.Size, Received: timeOrNull(m.Received), SendAt: timeOrNull(m.SendAt), Expires: timeOrNull(m.Expires), Recipients: []Recipient{},
	}
	if m.Origin != 0 {
		told.Origin = m.Origin.String()
	}
	for i, r := range m.Envelope.Recipients {
		var state queue.RecipientState
		if i < len(m.Recipients) {
			state = m.Recipients[i]
		}
		told.Recipients = append(told.Recipients, recipientOf(r.Address, state))
	}
	return told
}

func recipientOf(address mail.Address, state queue.RecipientState) Recipient {
	told := Recipient{
		Recipient: address.String(), Domain: string(address.Domain), State: stateName(state.State), Attempts: state.Attempts, InDoubt: state.InDoubt,
	}
	if state.State == queue.Pending {
		told.Next = timeOrNull(state.Due)
	}
	if state.Last.Disposition != "" {
		state.Last.Recipient = address
		told.Last = outcomeOf(state.Last)
	}
	return told
}

// outcomeOf takes the way over JSON, so that the keys of an outcome have one place.
func outcomeOf(o mail.Outcome) *Outcome {
	told := new(Outcome)
	if text, err := json.Marshal(o); err == nil {
		err = json.Unmarshal(text, told)
		if err != nil {
			return nil
		}
	}
	return told
}

func stateName(s queue.State) string {
	names := [...]string{queue.Pending: "pending", queue.Held: "held", queue.Delivered: "delivered", queue.Failed: "failed", queue.Removed: "removed"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

func priorityName(p queue.Priority) string {
	names := [...]string{queue.Normal: "normal", queue.Bulk: "bulk", queue.Report: "report"}
	if int(p) < len(names) {
		return names[p]
	}
	return "unknown"
}

// timeOrNull is t in UTC, and nil for none.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
