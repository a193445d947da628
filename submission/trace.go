package submission

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"sternpost/mail"
)

// received appends the trace field that is put before the message (RFC 5321 s4.4). It names no recipient: one could learn from it who got a blind copy. Nor does it
// name the user: that is nobody's business but ours.
func received(b []byte, c Client, hostname string, now time.Time) []byte {
	b = append(b, "Received: from "...)
	b = append(b, c.heloName()...)
	b = append(b, " ("...)
	b = append(b, c.source()...)
	b = append(b, ")\r\n\tby "...)
	b = append(b, hostname...)
	if c.Protocol != "" {
		b = append(b, " with "...)
		b = append(b, c.Protocol...)
	}
	b = append(b, ";\r\n\t"...)
	b = now.AppendFormat(b, time.RFC1123Z)
	return append(b, "\r\n"...)
}

// heloName is the name that the client gave, where it is one.
func (c Client) heloName() string {
	if domain, err := mail.ParseDomain(c.Helo); err == nil {
		return string(domain)
	}
	if !c.Address.IsValid() {
		return "localhost"
	}
	return "unknown"
}

// source is where the client really is.
func (c Client) source() string {
	switch {
	case c.Address.IsValid():
		return string(mail.LiteralDomain(c.Address))
	case c.UID >= 0:
		return "uid " + strconv.Itoa(c.UID)
	}
	return c.Door
}

// maxTold is how many recipients the field that names the redirected ones has.
const maxTold = 50

// redirectedField appends the field that says to whom the message would have gone. What is not ASCII in an address is escaped: such a field must not need SMTPUTF8.
func redirectedField(b []byte, from []mail.Recipient) []byte {
	b = append(b, "X-Sternpost-Redirected: "...)
	for i, r := range from[:min(len(from), maxTold)] {
		if i > 0 {
			b = append(b, ",\r\n\t"...)
		}
		quoted := strconv.AppendQuoteToASCII(nil, r.Address.String())
		b = append(b, strings.ReplaceAll(string(quoted[1:len(quoted)-1]), `\"`, `"`)...)
	}
	if more := len(from) - maxTold; more > 0 {
		b = fmt.Appendf(b, ",\r\n\tand %d more", more)
	}
	return append(b, "\r\n"...)
}

// missing appends the fields that every message has, and that this one lacks (RFC 6409 s8.2, s8.3).
func (h *head) missing(b []byte, now time.Time, ids *names) []byte {
	if !h.hasDate {
		b = append(b, "Date: "...)
		b = now.AppendFormat(b, time.RFC1123Z)
		b = append(b, "\r\n"...)
	}
	if !h.hasID {
		fresh := ids.next(now)
		b = append(b, "Message-ID: <"+fresh+">\r\n"...)
		h.id = append(h.id[:0], "<"+fresh+">"...)
	}
	return b
}

// names makes Message-IDs. Safe for concurrent use.
type names struct {
	mu       sync.Mutex
	random   *rand.Rand
	hostname string
}

func newNames(seed uint64, hostname string) *names {
	return &names{random: rand.New(rand.NewPCG(seed, 0)), hostname: hostname}
}

// next is a Message-ID without its brackets that nobody has had (RFC 5322 s3.6.4).
func (n *names) next(now time.Time) string {
	n.mu.Lock()
	random := n.random.Uint64()
	n.mu.Unlock()
	return strconv.FormatInt(now.UnixMilli(), 36) + "." + strconv.FormatUint(random, 36) + "@" + n.hostname
}
