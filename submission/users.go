package submission

import (
	"errors"
	"fmt"
	"slices"

	"sternpost/mail"
)

// User is who may authenticate, and what he may do then.
type User struct {
	Name     string   `toml:"name" doc:"The name that is given with the password."`
	Password string   `toml:"password" doc:"The argon2id hash of the password."`
	Senders  []string `toml:"senders" doc:"The reverse-paths that the user may send from: \"a@example.org\", or \"example.org\" for all of a domain, \".example.org\" for its subdomains, \"*\" for all but <>, \"<>\" for the null reverse-path. Empty: any."`
	// RecipientsPerHour is counted over the messages that were accepted.
	RecipientsPerHour int `toml:"recipients_per_hour" doc:"How many recipients the user may send to in any hour. 0: submission.recipients_per_hour decides."`
}

// checkUsers finds users that cannot work. The errors name their keys.
func checkUsers(users []User) error {
	var errs []error
	seen := map[string]bool{}
	for i, u := range users {
		if u.Name != "" && seen[u.Name] {
			errs = append(errs, fmt.Errorf("submission.users[%d]: name: there is another user %q", i, u.Name))
		}
		seen[u.Name] = true
		if _, err := u.rules(0); err != nil {
			errs = append(errs, fmt.Errorf("submission.users[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// userRules are what is allowed to a user. The zero value allows everything.
type userRules struct {
	narrow  bool                  // not everything is allowed as a reverse-path
	null    bool                  // the null one is, where narrow
	senders []mail.AddressPattern // and these are
	perHour int                   // recipients; 0: no limit
}

// rules are those of u, where usual is the limit of users that have none of their own.
func (u User) rules(usual int) (userRules, error) {
	r := userRules{narrow: len(u.Senders) > 0, perHour: u.RecipientsPerHour}
	if u.RecipientsPerHour < 0 {
		return r, fmt.Errorf("recipients_per_hour: %d is negative", u.RecipientsPerHour)
	}
	if r.perHour == 0 {
		r.perHour = usual
	}
	for _, text := range u.Senders {
		if text == "<>" {
			r.null = true
			continue
		}
		pattern, err := mail.ParseAddressPattern(text)
		if err != nil {
			return r, fmt.Errorf("senders: %w", err)
		}
		r.senders = append(r.senders, pattern)
	}
	return r, nil
}

// permits says whether a message may have from as its reverse-path. What stands in its From field is not judged: whom a reader believes is a matter of DMARC.
func (r userRules) permits(from mail.ReversePath) bool {
	if !r.narrow {
		return true
	}
	if from.IsNull() {
		return r.null
	}
	return slices.ContainsFunc(r.senders, func(p mail.AddressPattern) bool { return p.Matches(from.Address) })
}
