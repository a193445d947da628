package delivery

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"sternpost/mail"
)

// Route is the way that recipient domains take. Without smarthosts it is the MX, so that an exception can stand before a
// route for all others.
type Route struct {
	Domains    []string    `toml:"domains" doc:"\"example.org\" is that domain, \".example.org\" its subdomains, \"*\" every domain."`
	Smarthosts []Smarthost `toml:"smarthosts" doc:"Tried in turn. Empty: the MX of the domain."`
	TLS        TLSLevel    `toml:"tls" doc:"For routes to the MX: \"opportunistic\" (default) or \"none\"."`
}

// Smarthost is a host that relays for us.
type Smarthost struct {
	Host         string   `toml:"host" doc:"Name or address. No MX is looked up."`
	Port         int      `toml:"port" doc:"Default 465 with tls = \"implicit\", else 587."`
	TLS          TLSLevel `toml:"tls" doc:"\"starttls\" (required, certificate verified; the default with credentials), \"implicit\" (TLS from the first octet, verified), \"opportunistic\" (the default without), \"none\"."`
	Verify       *bool    `toml:"verify" doc:"false accepts any certificate. Default true with starttls and implicit."`
	CAFile       string   `toml:"ca_file" doc:"PEM file with the authorities to trust instead of the system's."`
	Username     string   `toml:"username" doc:"Credentials for AUTH; empty: none."`
	Password     string   `toml:"password" doc:"The password, or the access token for XOAUTH2 and OAUTHBEARER."`
	PasswordFile string   `toml:"password_file" doc:"A file whose first line is the password; read at each AUTH, so that tokens can be renewed."`
	Mechanism    string   `toml:"mechanism" doc:"PLAIN, LOGIN, XOAUTH2 or OAUTHBEARER. Empty: PLAIN or LOGIN, whichever is offered."`
	InsecureAuth bool     `toml:"insecure_auth" doc:"Send credentials without TLS."`
}

// TLSLevel says what a connection must reach.
type TLSLevel string

// The levels.
const (
	TLSDefault       TLSLevel = ""
	TLSNone          TLSLevel = "none"
	TLSOpportunistic TLSLevel = "opportunistic" // RFC 7435: better than nothing, never a reason not to deliver
	TLSStartTLS      TLSLevel = "starttls"      // required
	TLSImplicit      TLSLevel = "implicit"      // required, from the first octet (RFC 8314)
)

// required says whether a connection without TLS must not be used.
func (l TLSLevel) required() bool { return l == TLSStartTLS || l == TLSImplicit }

// findRoute returns the first route that matches, and the MX route where none does. The routes are canonical.
func findRoute(routes []Route, domain mail.Domain) Route {
	for _, r := range routes {
		if slices.ContainsFunc(r.Domains, func(p string) bool { return mail.Pattern(p).Matches(domain) }) {
			return r
		}
	}
	return Route{}
}

// canonicalRoutes are the routes with names as they are compared: lower-case A-labels. Check has found no fault in them.
func canonicalRoutes(routes []Route) []Route {
	canonical := slices.Clone(routes)
	for i, r := range canonical {
		r.Domains, r.Smarthosts = slices.Clone(r.Domains), slices.Clone(r.Smarthosts)
		for j, text := range r.Domains {
			p, _ := mail.ParsePattern(text)
			r.Domains[j] = string(p)
		}
		for j, s := range r.Smarthosts {
			r.Smarthosts[j].Host, _ = canonicalHost(s.Host)
		}
		canonical[i] = r
	}
	return canonical
}

// canonicalHost takes a host name or an IP address.
func canonicalHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), nil
	}
	domain, err := mail.ParseDomain(host)
	return string(domain), err
}

// level is the level of a route to the MX.
func (r Route) level() TLSLevel {
	if r.TLS == TLSDefault {
		return TLSOpportunistic
	}
	return r.TLS
}

// level is s.TLS with its default: who sends a password wants to know to whom.
func (s Smarthost) level() TLSLevel {
	switch {
	case s.TLS != TLSDefault:
		return s.TLS
	case s.Username != "":
		return TLSStartTLS
	default:
		return TLSOpportunistic
	}
}

func (s Smarthost) port() int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.TLS == TLSImplicit:
		return 465 // RFC 8314 s7.3
	default:
		return 587 // RFC 6409 s3.1
	}
}

// verify says whether the certificate must be proved.
func (s Smarthost) verify() bool {
	if s.Verify != nil {
		return *s.Verify
	}
	return s.level().required()
}

// secret reads the password or token.
func (s Smarthost) secret() (string, error) {
	if s.PasswordFile == "" {
		return s.Password, nil
	}
	text, err := os.ReadFile(s.PasswordFile)
	if err != nil { // without the path: the reason may travel in a report
		return "", fmt.Errorf("the password file of smarthost %s cannot be read: %w", s.Host, bare(err))
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

func checkRoutes(routes []Route) error {
	var errs []error
	for i, r := range routes {
		name := fmt.Sprintf("delivery.routes[%d]", i)
		if len(r.Domains) == 0 {
			errs = append(errs, fmt.Errorf("%s: domains is empty, so nothing would ever match", name))
		}
		for _, p := range r.Domains {
			errs = append(errs, checkPattern(name, p))
		}
		if r.TLS.required() {
			errs = append(errs, fmt.Errorf("%s: tls = %q is for smarthosts; here it is opportunistic or none", name, r.TLS))
		}
		errs = append(errs, r.TLS.check(name))
		for j, s := range r.Smarthosts {
			errs = append(errs, s.check(fmt.Sprintf("%s.smarthosts[%d]", name, j)))
		}
	}
	return errors.Join(errs...)
}

func checkPattern(name, pattern string) error {
	if _, err := mail.ParsePattern(pattern); err != nil {
		return fmt.Errorf("%s: domains: %w", name, err)
	}
	return nil
}

func (l TLSLevel) check(name string) error {
	if !slices.Contains([]TLSLevel{TLSDefault, TLSNone, TLSOpportunistic, TLSStartTLS, TLSImplicit}, l) {
		return fmt.Errorf("%s: tls = %q is not none, opportunistic, starttls or implicit", name, l)
	}
	return nil
}

func (s Smarthost) check(name string) error {
	if _, err := canonicalHost(s.Host); err != nil {
		return fmt.Errorf("%s: host: %w", name, err)
	}
	if s.Port < 0 || s.Port > 65535 {
		return fmt.Errorf("%s: port %d is not a port", name, s.Port)
	}
	if err := s.TLS.check(name); err != nil {
		return err
	}
	if !s.level().required() && (s.CAFile != "" || s.Verify != nil && *s.Verify) {
		return fmt.Errorf("%s: verify and ca_file prove nothing unless tls is starttls or implicit", name)
	}
	return s.checkCredentials(name)
}

func (s Smarthost) checkCredentials(name string) error {
	secret := s.Password != "" || s.PasswordFile != ""
	switch {
	case s.Username != "" && !secret:
		return fmt.Errorf("%s: username without password or password_file", name)
	case s.Username == "" && secret:
		return fmt.Errorf("%s: password without username", name)
	case s.Username != "" && !s.level().required() && !s.InsecureAuth:
		return fmt.Errorf("%s: credentials need tls = \"starttls\" or \"implicit\" (or insecure_auth = true, which sends them in clear)", name)
	case !slices.Contains(append(mechanisms(), ""), strings.ToUpper(s.Mechanism)):
		return fmt.Errorf("%s: mechanism %q is not one of %s", name, s.Mechanism, strings.Join(mechanisms(), ", "))
	}
	return nil
}
