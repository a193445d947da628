package submission

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// Suppressor knows to whom nothing is to be sent. Package queue has one.
type Suppressor interface {
	// Suppressed says what is known of an address to which the mail of a sender must not go; false: it may go. sender is the authenticated user, else the reverse-path.
	Suppressed(ctx context.Context, sender string, to mail.Address) (queue.Suppression, bool, error)
}

// suppressionPatience is how long a look at the list may take. It is one read of the disk.
const suppressionPatience = 10 * time.Second

// unsuppressed leaves out those of list that are suppressed, and refuses when nobody is left. Where the list cannot be read nobody is refused: the mail would fail where it was
// sent before.
func (d *Desk) unsuppressed(r *rules, l Letter, list []mail.Recipient) ([]mail.Recipient, error) {
	ctx, cancel := context.WithTimeout(context.Background(), suppressionPatience)
	defer cancel()
	sender := d.senderOf(r, l)
	kept := make([]mail.Recipient, 0, len(list))
	var last *Refusal
	for _, to := range list {
		s, suppressed, err := d.deps.Suppression.Suppressed(ctx, sender, to.Address)
		if err != nil {
			d.deps.Log.Error("the suppression list cannot be read; mail goes as if the address were not on it", zap.Error(err))
		}
		if err != nil || !suppressed {
			kept = append(kept, to)
			continue
		}
		last = suppressedRefusal(s)
		d.deps.Log.Info("recipient suppressed", zap.String("peer", l.Client.Peer()), zap.String("sender", sender),
			zap.String("recipient", mail.Escape(to.Address.String())), zap.Time("since", s.Last), zap.String("reason", mail.Escape(s.Reason)))
	}
	if len(kept) == 0 && last != nil {
		return nil, last
	}
	return kept, nil
}

// senderOf names the sender as the queue will.
func (d *Desk) senderOf(r *rules, l Letter) string {
	if l.Client.User != "" {
		return l.Client.User
	}
	from, err := r.sender(l.Client, l.Envelope.From)
	if err != nil {
		from = l.Envelope.From
	}
	return from.String()
}

// longestSuppressedReason keeps the reply within a line (RFC 5321 s4.5.3.1.5: 512 octets).
const longestSuppressedReason = 300

// suppressedRefusal says since when and why. What a remote once said is quoted escaped.
func suppressedRefusal(s queue.Suppression) *Refusal {
	reason := strings.Map(func(c rune) rune {
		if c >= utf8.RuneSelf { // not every client takes SMTPUTF8
			return '?'
		}
		return c
	}, mail.Escape(s.Reason))
	if len(reason) > longestSuppressedReason {
		reason = reason[:longestSuppressedReason] + "..."
	}
	what := "failed for good on"
	if s.Needed == 0 {
		what = "was put on the list on"
	}
	return refuse(550, "5.1.1", fmt.Sprintf("the address is suppressed: it %s %s: %s", what, s.Last.UTC().Format(time.DateOnly), reason))
}
