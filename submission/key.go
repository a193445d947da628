package submission

import (
	"bytes"
	"io"
	"slices"

	"sternpost/mail"
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
	return key, checkKey(key)
}

// checkKey refuses a key that could not be told or stored as it is.
func checkKey(key string) error {
	if len(key) > longestKey {
		return refuse(554, "5.6.0", "an Idempotency-Key has at most 255 octets")
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return refuse(554, "5.6.0", "an Idempotency-Key consists of printable ASCII characters without spaces")
		}
	}
	return nil
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
