package webhook

import (
	"fmt"
	"slices"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// event is one thing that an endpoint is told.
type event struct {
	id        string
	kind      string
	recipient string
	at        journal.Cursor
	body      []byte
}

// Event is the body of a webhook: the form is that of Standard Webhooks, the keys are those of docs/json.md.
type Event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when it happened, in UTC
	Facts     Facts     `json:"data"`
}

// Facts are what happened to one recipient.
type Facts struct {
	ID        string   `json:"id"`         // of the event: webhook-id
	Message   string   `json:"message"`    // our id of the message; empty: it is about none
	MessageID string   `json:"message_id"` // its header field, without brackets
	Sender    string   `json:"sender"`     // the reverse-path; empty: the null one
	Recipient string   `json:"recipient"`
	Domain    string   `json:"domain"`
	Host      string   `json:"host"`    // that decided
	Address   string   `json:"address"` // of the host; empty where it is not known
	Code      *int     `json:"code"`
	Status    string   `json:"status"`
	Reply     []string `json:"reply"`
	InDoubt   bool     `json:"in_doubt"`
	Scope     string   `json:"scope"`
	Stage     string   `json:"stage"`
	Reason    string   `json:"reason"`
	Category  string   `json:"category"` // of a failure or a deferral; empty: it is not known
	Hard      bool     `json:"hard"`     // the address or its domain is dead
	Attempt   string   `json:"attempt"`
}

// typeOf is the event that an entry of the journal tells of; empty: none.
func typeOf(e journal.Entry) string {
	switch {
	case e.Recipient == "":
		return ""
	case e.Kind == journal.Delivered:
		return Delivered
	case e.Kind == journal.Deferred:
		return Deferred
	case e.Kind == journal.Failed && e.Expired():
		return Expired
	case e.Kind == journal.Failed:
		return Failed
	case e.Kind == journal.Suppressed:
		return Suppressed
	}
	return ""
}

// eventOf is what an endpoint is told of an entry. judge may be nil.
func eventOf(e journal.Entry, judge func(journal.Entry) (string, bool)) (event, error) {
	told := event{id: fmt.Sprintf("evt_%016x%08x", e.Cursor.Time.UnixNano(), e.Cursor.Seq), kind: typeOf(e), recipient: e.Recipient, at: e.Cursor}
	facts := Facts{
		ID: told.id, Message: e.Message, MessageID: e.MessageID, Sender: e.Sender, Recipient: e.Recipient, Domain: string(e.Domain), Host: e.Host,
		Address: remoteOf(e), Status: e.Status.String(), Reply: slices.Clone(e.Reply), InDoubt: e.InDoubt, Scope: string(e.Scope), Stage: string(e.Stage),
		Reason: e.Reason, Attempt: e.AttemptID,
	}
	if facts.Reply == nil {
		facts.Reply = []string{}
	}
	if e.Code != 0 {
		facts.Code = &e.Code
	}
	if judge != nil && (e.Kind == journal.Failed || e.Kind == journal.Deferred) {
		facts.Category, facts.Hard = judge(e)
	}
	var err error
	told.body, err = bodyOf(Event{Type: told.kind, Timestamp: e.Cursor.Time.UTC(), Facts: facts})
	return told, err
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
