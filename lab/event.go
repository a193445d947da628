package lab

import (
	"time"

	"sternpost/mail"
)

// EventKind is what an Event is about.
type EventKind string

// The kinds of event.
const (
	EventReach     EventKind = "reach"     // a host comes up, goes down or goes silent: Line is its Reach; or its behaviour changes
	EventFault     EventKind = "fault"     // the DNS server begins or ends to misbehave: Line says how
	EventQuestion  EventKind = "question"  // Line is "NAME TYPE", Reply the rcode and how many records
	EventConnected EventKind = "connected" // a client was taken
	EventTLS       EventKind = "tls"       // a handshake: Line is the version, or Error says why it failed
	EventCommand   EventKind = "command"   // Line is what the client said
	EventReply     EventKind = "reply"     // Line is one line of what the host says
	EventRecipient EventKind = "recipient" // a recipient is answered: Recipient, From and Reply
	EventMessage   EventKind = "message"   // a content arrived whole: Message; Reply is about to be said
	EventEnded     EventKind = "ended"     // the connection is over: Line says how
	EventTrouble   EventKind = "trouble"   // the lab itself has a trouble: Error
)

// Event is one thing that happened in a world. Which fields have a meaning depends on the kind. Text of a client is as it came, not escaped.
type Event struct {
	Number     int           `json:"number"` // from 1
	At         time.Time     `json:"at"`
	Since      time.Duration `json:"-"` // since the world began
	Kind       EventKind     `json:"event"`
	Host       string        `json:"host,omitempty"`
	Address    string        `json:"address,omitempty"`
	Client     string        `json:"client,omitempty"`     // its address and port
	Connection int           `json:"connection,omitempty"` // from 1, at this address
	Line       string        `json:"line,omitempty"`
	From       string        `json:"sender,omitempty"`
	Recipient  string        `json:"recipient,omitempty"`
	Reply      string        `json:"reply,omitempty"`
	Error      string        `json:"error,omitempty"`
	Message    *Received     `json:"message,omitempty"`
}

// Received is a message whose content came to its end, whether or not the host took it.
type Received struct {
	Number     int           `json:"number"` // from 1, in the order of arrival in the world
	At         time.Time     `json:"at"`
	Since      time.Duration `json:"-"` // since the world began
	Host       string        `json:"host"`
	Address    string        `json:"address"`
	Client     string        `json:"client"`
	Connection int           `json:"connection"`
	From       string        `json:"sender"`
	To         []string      `json:"recipients"` // those that were accepted
	Subject    string        `json:"subject"`
	TLS        bool          `json:"tls"`
	Size       int64         `json:"size"`
	Reply      string        `json:"reply"`    // the last line of the reply to the content; empty when the host said nothing
	Accepted   bool          `json:"accepted"` // that reply was 2xx
	Content    []byte        `json:"-"`        // nil when it is not kept any more
}

// Disposition is what a sender that saw the reply makes of the message.
func (r Received) Disposition() mail.Disposition {
	switch {
	case r.Accepted:
		return mail.Delivered
	case r.Reply != "" && r.Reply[0] == '5':
		return mail.Failed
	}
	return mail.Deferred
}
