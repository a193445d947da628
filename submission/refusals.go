package submission

import "time"

const (
	// maxOffences is how many lines that are no commands a connection may send.
	maxOffences = 3
	// maxRefused is how many commands of a client may be refused while no message of it is taken. An application with a mistake in it comes that far, and one that tries
	// things out; strangers get less.
	maxRefused         = 100
	maxRefusedStranger = 20
	// maxRefusedRecipients is the same for RCPT: whoever sends more recipients at once than a message may have is told so for each.
	maxRefusedRecipients = 10_000
)

// refusals count what a connection was refused since its last message.
type refusals struct {
	offences   int
	commands   int
	recipients int
	recipient  bool // the last command was RCPT
}

func (r *refusals) count() {
	if r.recipient {
		r.recipients++
	} else {
		r.commands++
	}
}

// tooManyErrors says whether there is nothing more to expect of the client.
func (w *wire) tooManyErrors() bool {
	most := maxRefused
	if w.stranger() {
		most = maxRefusedStranger
	}
	return w.refused.commands > most || w.refused.recipients > maxRefusedRecipients
}

// useful notes that a message was taken.
func (w *wire) useful() {
	w.refused.commands, w.refused.recipients = 0, 0
	w.extend()
}

// strangerTime is how long a client may take until he has authenticated, whatever he does meanwhile.
const strangerTime = 2 * time.Minute

// stranger says whether the client has still to show who he is.
func (w *wire) stranger() bool { return !w.trusted && w.user == "" }

// extend lets the client go on for a time in which something useful is to happen.
func (w *wire) extend() {
	patience := w.door.config.IdleTimeout
	if w.stranger() {
		patience = strangerTime
	}
	w.until = time.Now().Add(patience)
}
