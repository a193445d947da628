package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"sternpost/mail"
)

// Endpoint is one table [[webhooks]] of the configuration. The doc tags are its documentation.
type Endpoint struct {
	Name    string   `toml:"name" doc:"The name under which the agent remembers how far it has told. Without it: the URL, without user and parameters. Another name begins anew, with what happens from then on."`
	URL     string   `toml:"url" doc:"Where events are sent, by POST; http or https. Certificates are verified, and redirections are not followed."`
	Secrets []string `toml:"secrets" doc:"What events are signed with: \"whsec_\" and 24 to 64 octets in base64, as openssl rand -base64 32 makes them. Of several each signs, so that one can be replaced while receivers know the other."`
	Events  []string `toml:"events" doc:"Which events: delivered, deferred, failed, expired, suppressed. Empty: all."`
	Senders []string `toml:"senders" doc:"Of whose mail, by reverse-path: \"a@example.org\", \"example.org\" or \".example.org\". Empty: of all."`
}

// The events.
const (
	Delivered  = "delivered"
	Deferred   = "deferred"
	Failed     = "failed"
	Expired    = "expired"
	Suppressed = "suppressed"
	Test       = "test" // asked for by a person; no endpoint need ask for it
)

// Events lists all events.
func Events() []string { return []string{Delivered, Deferred, Failed, Expired, Suppressed} }

// Octets of a secret, as Standard Webhooks has it.
const (
	leastSecret  = 24
	mostSecret   = 64
	secretPrefix = "whsec_"
)

// Check finds values that cannot work. The errors name the keys, all of them at once.
func Check(list []Endpoint) error {
	var errs []error
	names := map[string]bool{}
	for i, e := range list {
		place := fmt.Sprintf("webhooks[%d]", i)
		errs = append(errs, e.check(place))
		if names[e.name()] {
			errs = append(errs, fmt.Errorf("%s.name: there is another %q; endpoints with one URL need names", place, e.name()))
		}
		names[e.name()] = true
	}
	return errors.Join(errs...)
}

func (e Endpoint) check(place string) error {
	var errs []error
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		errs = append(errs, fmt.Errorf("%s.url: is not an address such as https://example.org/mail-events", place)) // it may have a password, so it is not told
	}
	if strings.ContainsFunc(e.Name, unicode.IsControl) {
		errs = append(errs, fmt.Errorf("%s.name: holds a control character", place))
	}
	if len(e.Secrets) == 0 {
		errs = append(errs, fmt.Errorf("%s.secrets: at least one is needed, or the receiver could not tell our events from a stranger's", place))
	}
	for n, text := range e.Secrets {
		if _, err := parseSecret(text); err != nil {
			errs = append(errs, fmt.Errorf("%s.secrets: number %d: %w", place, n+1, err))
		}
	}
	for _, name := range e.Events {
		if !slices.Contains(Events(), name) {
			errs = append(errs, fmt.Errorf("%s.events: there is no event %q; they are %s", place, name, strings.Join(Events(), ", ")))
		}
	}
	for _, text := range e.Senders {
		if _, err := mail.ParseAddressPattern(text); err != nil {
			errs = append(errs, fmt.Errorf("%s.senders: %w", place, err))
		}
	}
	return errors.Join(errs...)
}

// parseSecret gives the octets of a secret.
func parseSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		return nil, errors.New("does not begin with whsec_")
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("is not base64 behind whsec_")
	}
	if len(secret) < leastSecret || len(secret) > mostSecret {
		return nil, fmt.Errorf("has %d octets, and needs %d to %d", len(secret), leastSecret, mostSecret)
	}
	return secret, nil
}

// name is what the endpoint is known by.
func (e Endpoint) name() string {
	if e.Name != "" {
		return e.Name
	}
	return e.shownURL()
}

// shownURL is the URL without what may be secret in it.
func (e Endpoint) shownURL() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
