package delivery

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-smtp"

	"sternpost/mail"
)

// cause is why a stage did not end well. Together with the stage and the reply it decides everything: docs/failures.md is the table,
// and its names are these.
type cause string

const (
	causeReply     cause = "reply"            // a well-formed reply that refuses
	causeProtocol  cause = "protocol error"   // not SMTP, or not the reply that belongs there
	causeTimeout   cause = "timeout"          // the stage's deadline
	causeClosed    cause = "connection lost"  // end of file, reset, broken pipe
	causeRefused   cause = "no connection"    // refused, unreachable
	causeHandshake cause = "handshake failed" // TLS, where TLS is required
	causeNoTLS     cause = "TLS not offered"  // where it is required
	causeAuth      cause = "cannot authenticate"
	causeTooLarge  cause = "SIZE too small"
	causeNoUTF8    cause = "no SMTPUTF8"
	causeLocal     cause = "local trouble"
)

// event is one thing that went wrong at one host. A nil *event is success.
type event struct {
	stage mail.Stage
	cause cause
	reply mail.Reply // of causeReply
	err   error      // of the other causes
	// inDoubt: octets of the final dot or the last BDAT were handed to the kernel, and no well-formed reply came.
	inDoubt bool
	// smarthost: the host relays for us, so a 530 asks for credentials.
	smarthost bool
	// afterTLS: the session is in clear because a handshake with this address had failed.
	afterTLS bool

	// pretended: a mask said so, not the remote.
	pretended bool
	// candidate is where it happened, where that is known.
	candidate *candidate
}

// verdict is what an event means for the recipients that it hit.
type verdict struct {
	// disposition is Failed where no other host is asked any more; Deferred where the next host is tried, and stays so
	// at the last one.
	disposition mail.Disposition
	scope       mail.Scope
	status      mail.Status
	// rank chooses the headline where several hosts gave several reasons: the least speaks.
	rank int
}

// The ranks of the headline (design section 4).
const (
	rankPermanent = iota
	rankInDoubt
	rankTransient
	rankCapability
	rankAuth
	rankTLS
	rankProtocol
	rankHello
	rankGreeting
	rankConnect
	rankDNS
	rankLocal
)

// classify is the one place where failure is judged. It is a function of its argument alone; docs/failures.md holds what it answers, and
// the test reads that document.
func classify(e event) verdict {
	switch {
	case e.inDoubt:
		return verdict{mail.Deferred, mail.ScopeSession, mail.Status{4, 4, 2}, rankInDoubt}
	case e.cause == causeLocal:
		return verdict{mail.Deferred, mail.ScopeLocal, mail.Status{4, 3, 0}, rankLocal}
	case e.cause == causeTooLarge:
		return verdict{mail.Deferred, mail.ScopeMessage, mail.Status{5, 3, 4}, rankCapability}
	case e.cause == causeNoUTF8:
		return verdict{mail.Deferred, mail.ScopeMessage, mail.Status{5, 6, 7}, rankCapability}
	case e.cause == causeReply:
		return classifyReply(e)
	case e.cause == causeAuth:
		return verdict{mail.Deferred, mail.ScopeHost, mail.Status{4, 7, 8}, rankAuth}
	case e.cause == causeNoTLS || e.cause == causeHandshake:
		return verdict{mail.Deferred, mail.ScopeHost, mail.Status{4, 7, 5}, rankTLS}
	case e.cause == causeProtocol:
		return verdict{mail.Deferred, mail.ScopeSession, mail.Status{4, 5, 0}, rankProtocol}
	default:
		return verdict{mail.Deferred, connectionScope(e.stage), connectionStatus(e.stage), connectionRank(e.stage)}
	}
}

// classifyReply judges a negative reply. Before MAIL it speaks of the host, so another host may do better, 5xx or not.
func classifyReply(e event) verdict {
	v := verdict{mail.Deferred, replyScope(e.stage), e.reply.Status(), connectionRank(e.stage)}
	switch {
	case e.reply.Code == 421: // RFC 5321 s3.8: the service closes; nothing is said about the mail
		v.scope, v.rank = mail.ScopeSession, min(v.rank, rankTransient)
		if beforeMail(e.stage) {
			v.scope, v.rank = mail.ScopeHost, connectionRank(e.stage)
		}
	case e.stage == mail.StageAuth, e.wantsCredentials(): // RFC 4954 s6
		return verdict{mail.Deferred, mail.ScopeHost, mail.Status{4, 7, 8}, rankAuth}
	case e.stage == mail.StageStartTLS:
		v.scope, v.status, v.rank = mail.ScopeHost, mail.Status{4, 7, 5}, rankTLS
	case beforeMail(e.stage):
		v.scope = mail.ScopeHost
	case e.afterTLS && asksForTLS(e.reply):
		v.rank = rankTLS
	case e.reply.Permanent():
		v.disposition, v.rank = mail.Failed, rankPermanent
	default:
		v.rank = rankTransient
	}
	if v.disposition == mail.Deferred {
		v.status[0] = 4 // what may still change is not reported as permanent
	}
	return v
}

// wantsCredentials says whether a smarthost refuses the mail because we did not authenticate.
func (e event) wantsCredentials() bool {
	return e.smarthost && e.reply.Code == 530 && (e.stage == mail.StageMail || e.stage == mail.StageRcpt)
}

// refusesCredentials says whether the host judged our credentials, or wants some. A connection that ends in AUTH judges nothing.
func (e event) refusesCredentials() bool {
	judged := e.stage == mail.StageAuth && e.cause == causeReply && e.reply.Code != 421
	return e.cause == causeAuth || judged || e.cause == causeReply && e.wantsCredentials()
}

// asksForTLS finds replies that refuse for want of TLS (RFC 3207 s4, RFC 5248 s2.4: X.7.10, X.7.11).
func asksForTLS(r mail.Reply) bool {
	s, _ := r.Enhanced()
	return r.Code == 530 || s == mail.Status{5, 7, 10} || s == mail.Status{5, 7, 11}
}

func beforeMail(s mail.Stage) bool {
	switch s {
	case mail.StageResolve, mail.StagePolicy, mail.StageConnect, mail.StageGreeting, mail.StageHello, mail.StageStartTLS, mail.StageAuth:
		return true
	}
	return false
}

func replyScope(s mail.Stage) mail.Scope {
	if s == mail.StageRcpt {
		return mail.ScopeRecipient
	}
	return mail.ScopeMessage
}

func connectionScope(s mail.Stage) mail.Scope {
	if beforeMail(s) {
		return mail.ScopeHost
	}
	return mail.ScopeSession
}

// connectionStatus is 4.4.1 where nobody answered and 4.4.2 where the conversation broke (RFC 3463 s3.5).
func connectionStatus(s mail.Stage) mail.Status {
	if s == mail.StageConnect {
		return mail.Status{4, 4, 1}
	}
	return mail.Status{4, 4, 2}
}

func connectionRank(s mail.Stage) int {
	switch s {
	case mail.StageResolve:
		return rankDNS
	case mail.StageConnect, mail.StagePolicy:
		return rankConnect
	case mail.StageGreeting:
		return rankGreeting
	case mail.StageHello:
		return rankHello
	case mail.StageStartTLS:
		return rankTLS
	case mail.StageAuth:
		return rankAuth
	default:
		return rankTransient
	}
}

// tooManyRecipients finds the replies that mean "the rest in another transaction": 452, or the 552 of older servers (RFC 5321
// s4.5.3.1.10), unless a status says that it is something else.
func tooManyRecipients(r mail.Reply) bool {
	if r.Code != 452 && r.Code != 552 {
		return false
	}
	s, stated := r.Enhanced()
	return !stated || s[1] == 5 && s[2] == 3
}

// Error makes an event an error for those who hold it as one.
func (e *event) Error() string { return e.reason() }

// Unwrap gives the error below; for a reply it is go-smtp's type, so that callers see one vocabulary.
func (e *event) Unwrap() error {
	if e.cause != causeReply {
		return e.err
	}
	return &smtp.SMTPError{Code: e.reply.Code, EnhancedCode: smtp.EnhancedCode(e.reply.Status()), Message: e.reply.Text()}
}

// reason is the event in one line for people.
func (e *event) reason() string {
	switch {
	case errors.Is(e.err, errLost):
		return "called off: " + errLost.Error()
	case e.inDoubt:
		return "the content was sent and no reply came (" + e.cause.String() + e.detail() + "): it may have been delivered"
	case e.cause == causeReply:
		return fmt.Sprintf("refused at %s: %s", e.stage, clip(e.reply.String()))
	case e.cause == causeTimeout:
		return fmt.Sprintf("no answer in time at %s", e.stage)
	case e.cause == causeRefused:
		return "no connection" + e.detail()
	default:
		return fmt.Sprintf("%s at %s%s", e.cause, e.stage, e.detail())
	}
}

func (e *event) detail() string {
	if e.err == nil {
		return ""
	}
	return ": " + mail.Escape(e.err.Error())
}

// maxReason bounds what a reason quotes, in octets. The tree has the whole reply.
const maxReason = 500

// clip shortens escaped text to what a reason may quote.
func clip(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return strings.ToValidUTF8(text[:maxReason], "") + "..."
}

func (c cause) String() string { return string(c) }

// isProtocol says whether err is a remote that does not speak SMTP.
func isProtocol(err error) bool {
	var p protocolError
	return errors.As(err, &p)
}
