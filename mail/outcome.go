package mail

import "net/netip"

// Disposition is the verdict on one recipient.
type Disposition string

// The dispositions. Deferred may be in doubt: the final dot left us and no reply came.
const (
	Delivered Disposition = "delivered"
	Deferred  Disposition = "deferred"
	Failed    Disposition = "failed"
)

// Scope is what failed: how far the trouble reaches.
type Scope string

// The scopes, from the narrowest to the widest. A delivered recipient has none.
const (
	ScopeNone        Scope = ""
	ScopeRecipient   Scope = "recipient"
	ScopeMessage     Scope = "message"
	ScopeSession     Scope = "session"
	ScopeHost        Scope = "host"
	ScopeDestination Scope = "destination"
	ScopeLocal       Scope = "local"
)

// Stage is a station of a delivery.
type Stage string

// The stages, in the order in which they are passed.
const (
	StageResolve  Stage = "resolve"
	StagePolicy   Stage = "policy"
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "hello"
	StageStartTLS Stage = "starttls"
	StageAuth     Stage = "auth"
	StageMail     Stage = "mail"
	StageRcpt     Stage = "rcpt"
	StageData     Stage = "data"
	StageContent  Stage = "content"
	StageDot      Stage = "dot"
	StageQuit     Stage = "quit"
)

// Stages lists all stages in their order.
func Stages() []Stage {
	return []Stage{
		StageResolve, StagePolicy, StageConnect, StageGreeting, StageHello, StageStartTLS, StageAuth,
		StageMail, StageRcpt, StageData, StageContent, StageDot, StageQuit,
	}
}

// Outcome is the verdict on one recipient in one attempt: exactly one for each recipient.
type Outcome struct {
	Recipient   Address
	Disposition Disposition
	// InDoubt says that the content may have been taken although we do not know it (RFC 1047). It stays true when a
	// later host defers.
	InDoubt bool
	Scope   Scope
	Stage   Stage
	// Reply is the remote's reply that decided, zero where none did (a lookup, a timeout).
	Reply  Reply
	Status Status
	// Host and IP are the remote that decided; empty where it was nobody's reply.
	Host string
	IP   netip.Addr
	// KeepsDSN says that the host which took the message reports itself, and was told what the sender wants to know (RFC 3461 s5.2.1).
	KeepsDSN bool
	// Reason is one line for people, escaped where it quotes a stranger.
	Reason string
}

// MarshalJSON writes the keys that docs/json.md lists; code is null where no reply decided.
func (o Outcome) MarshalJSON() ([]byte, error) { return o.appendJSON(nil), nil }

func (o Outcome) appendJSON(b []byte) []byte {
	w := begin(b)
	w.text("recipient", o.Recipient.String())
	w.text("disposition", string(o.Disposition))
	w.flag("in_doubt", o.InDoubt)
	w.text("scope", string(o.Scope))
	w.text("stage", string(o.Stage))
	if o.Reply.IsZero() {
		w.null("code")
	} else {
		w.number("code", o.Reply.Code)
	}
	w.text("status", o.Status.String())
	w.texts("reply", o.Reply.Lines)
	w.text("host", o.Host)
	w.ip("address", o.IP)
	w.text("reason", o.Reason)
	return w.end()
}
