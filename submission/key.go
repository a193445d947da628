package submission

import (
	"bytes"
	"io"
	"slices"

	"sternpost/mail"
	"sternpost/queue"
)

// keyOf is the idempotency key of a letter: that of the header or the one that the door was given; empty: none. Where there are both they must be the same.
func (h *head) keyOf(l Letter) (string, error) {
	key := l.Key
	if h.hasKey {
		own := string(bytes.TrimSpace(h.key))
		if key != "" && own != key {
			return "", refuse(554, "5.6.0", "the Idempotency-Key in the header is not the key that came with the message")
		}
		if own == "" {
			return "", refuse(554, "5.6.0", "the Idempotency-Key in the header is empty")
		}
		key = own
	}
	if key == "" {
		return "", nil
	}
	if err := queue.CheckKey(key); err != nil {
		return "", refuse(554, "5.6.0", err.Error())
	}
	return key, nil
}

// writeEnvelope writes who sends to whom. The order of the recipients does not count.
func writeEnvelope(w io.Writer, e mail.Envelope) {
	to := make([]string, len(e.Recipients))
	for i, r := range e.Recipients {
		to[i] = r.Address.String()
	}
	slices.Sort(to)
	text := e.From.String() + "\n"
	for _, address := range to {
		text += address + "\n"
	}
	_, _ = io.WriteString(w, text+"\n") // a hash takes everything; no address has a line break
}
