package lab

import (
	"encoding/json"
	"strings"
	"time"

	"sternpost/mail"
)

// EventKind is what an Event is about.
type EventKind string

// The kinds of event.
const (
	EventReach     EventKind = "reach"     // a host comes up, goes down or goes silent: Line is its Reach; or its behaviour changes
	EventFault     EventKind = "fault"     // the DNS server begins or ends to misbehave: Line says how
	EventQuestion  EventKind = "question"  // Line is "NAME TYPE", RCode and Records what was answered
	EventConnected EventKind = "connected" // a client was taken
	EventTLS       EventKind = "tls"       // a handshake: Line is the version, or Error says why it failed
	EventCommand   EventKind = "command"   // Line is what the client said
	EventReply     EventKind = "reply"     // Reply is what the host says
	EventRecipient EventKind = "recipient" // a recipient is answered: Recipient, Sender and the last line of the Reply
	EventMessage   EventKind = "message"   // a content arrived whole: Message; Reply is about to be said
	EventEnded     EventKind = "ended"     // the connection is over: Line says how
	EventTrouble   EventKind = "trouble"   // the lab itself has a trouble: Error
)

// Event is one thing that happened in a world. Which fields have a meaning depends on the kind; its JSON has them all. Text of a client is as it came, not escaped.
type Event struct {
	Number     int           `json:"number"` // from 1
	At         time.Time     `json:"at"`
	Since      time.Duration `json:"-"` // since the world began
	Kind       EventKind     `json:"event"`
	Host       string        `json:"host"`
	Address    string        `json:"address"`
	Client     string        `json:"client"`     // its address and port
	Connection int           `json:"connection"` // from 1, at this address
	Line       string        `json:"line"`
	Sender     string        `json:"sender"`
	Recipient  string        `json:"recipient"`
	Reply      Reply         `json:"reply"`
	RCode      string        `json:"rcode"`   // of an answer of the DNS server, empty where it did not answer
	Records    int           `json:"records"` // in that answer
	Error      string        `json:"error"`
	Message    *Received     `json:"message"`

	refuses bool // a reply that refuses a client or a message whole
}

// List is a list of texts, in JSON never null.
type List []string

// Reply is the lines of an SMTP reply.
type Reply = List

// Last is the last one, of a reply the line that counts; empty where there is none.
func (l List) Last() string {
	if len(l) == 0 {
		return ""
	}
	return l[len(l)-1]
}

// MarshalJSON writes a list.
func (l List) MarshalJSON() ([]byte, error) {
	if l == nil {
		l = List{}
	}
	return json.Marshal([]string(l))
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
	Sender     string        `json:"sender"`
	Recipients List          `json:"recipients"` // those that were accepted
	Subject    string        `json:"subject"`
	TLS        bool          `json:"tls"`
	Size       int64         `json:"size"`
	Reply      Reply         `json:"reply"`    // the last line of the reply to the content; none when the host said nothing
	Accepted   bool          `json:"accepted"` // that reply was 2xx
	Content    []byte        `json:"-"`        // nil when it is not kept
}

// Disposition is what a sender that saw the reply makes of the message.
func (r Received) Disposition() mail.Disposition {
	switch {
	case r.Accepted:
		return mail.Delivered
	case strings.HasPrefix(r.Reply.Last(), "5"):
		return mail.Failed
	}
	return mail.Deferred
}
