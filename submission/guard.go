package submission

import (
	"fmt"
	"slices"

	"sternpost/mail"
)

// refusedByGuard is the Refusal of a recipient that a staging guard keeps mail from; nil: none does. Where all mail is redirected, everybody may be written to.
func (r *rules) refusedByGuard(to mail.Address) *Refusal {
	if !r.guard.RedirectAll.IsZero() {
		return nil
	}
	if key := r.guard.Refuses(to); key != "" {
		return refuse(550, "5.7.1", fmt.Sprintf("%s keeps mail from %s", key, mail.Escape(to.String())))
	}
	return nil
}

// redirected puts the address that gets all mail in the place of the recipients. What each of them was stays in ORCPT (RFC 3461 s4.2).
func redirected(list []mail.Recipient, to mail.Address) []mail.Recipient {
	list = slices.Clone(list)
	for i, r := range list {
		list[i] = became(r, to)
	}
	return list
}

// became is r with another address. The wishes about reports stay, and so does the address that the sender first wrote (RFC 3461 s5.2.7.1).
func became(r mail.Recipient, to mail.Address) mail.Recipient {
	if r.Original == "" {
		r.OriginalType, r.Original = "rfc822", r.Address.String()
		if r.Address.NeedsUTF8() {
			r.OriginalType = "utf-8" // RFC 6533 s3
		}
	}
	r.Address = to
	return r
}
