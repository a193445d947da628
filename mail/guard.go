package mail

import "slices"

// Guard keeps the mail of a staging system from the world. The zero value keeps nothing.
type Guard struct {
	OnlyTo      []AddressPattern // empty: everybody
	RedirectAll Address          // zero: mail goes where it was sent
}

// Refuses is the key of the configuration that forbids to send to a; empty: none does.
func (g Guard) Refuses(a Address) string {
	matches := func(p AddressPattern) bool { return p.Matches(a) }
	switch {
	case !g.RedirectAll.IsZero() && a != g.RedirectAll:
		return "delivery.redirect_all"
	case len(g.OnlyTo) > 0 && !slices.ContainsFunc(g.OnlyTo, matches):
		return "delivery.only_to"
	}
	return ""
}
