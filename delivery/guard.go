package delivery

import (
	"errors"
	"fmt"

	"sternpost/mail"
)

// Guard is what keeps the mail of a staging system from the world. The errors name the keys.
func (c Config) Guard() (mail.Guard, error) {
	var g mail.Guard
	var errs []error
	for _, text := range c.OnlyTo {
		pattern, err := mail.ParseAddressPattern(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("delivery.only_to: %w", err))
		}
		g.OnlyTo = append(g.OnlyTo, pattern)
	}
	if c.RedirectAll != "" {
		var err error
		if g.RedirectAll, err = mail.ParseAddress(c.RedirectAll); err != nil {
			errs = append(errs, fmt.Errorf("delivery.redirect_all: %w", err))
		}
	}
	if c.RedirectAll != "" && len(c.OnlyTo) > 0 {
		errs = append(errs, errors.New("delivery.redirect_all: stands beside delivery.only_to; mail goes to one address or to those that are named"))
	}
	return g, errors.Join(errs...)
}

// guardRecipients gives a verdict on those that the guard keeps mail from. Mail for others is turned away or redirected when it comes in; what is seen here was in the queue
// before, or is a report of our own.
func (w *walk) guardRecipients() {
	for _, p := range w.rcpts {
		if key := w.guard.Refuses(p.Address); key != "" {
			p.outcome = &mail.Outcome{
				Recipient: p.Address, Disposition: mail.Failed, Scope: mail.ScopeRecipient, Stage: mail.StagePolicy, Status: mail.Status{5, 7, 1},
				Reason: key + " of this system keeps mail from this address",
			}
		}
	}
}
