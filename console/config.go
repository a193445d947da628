package console

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Config is the section [console] of the configuration. The doc tags are its documentation; docs/configuration.md is made from them.
type Config struct {
	Listen              []netip.AddrPort `toml:"listen" doc:"Addresses and ports of the HTTP API, as in \"127.0.0.1:8025\", beside the admin socket in queue.directory. Empty: the socket only. There is no TLS: put a proxy in front where it leaves the machine."`
	Token               string           `toml:"token" doc:"What callers over TCP must send, as Authorization: Bearer, to do anything. This one or one of tokens must be set where listen is; the admin socket needs none."`
	MetricsWithoutToken bool             `toml:"metrics_without_token" doc:"Whether /metrics is answered over TCP without a token. It names no address, domain or user."`
	Tokens              []Token          `toml:"tokens" doc:"Tokens of applications: each may hand in mail and ask after what it has handed in, and nothing else."`
}

// Token lets one application in.
type Token struct {
	Token string `toml:"token" doc:"What it sends, as Authorization: Bearer; at least 16 characters."`
	User  string `toml:"user" doc:"Whom its mail is from: the same rules (senders, mail per hour) hold as for the user of this name who comes by SMTP."`
}

// DefaultConfig is what an empty section means.
func DefaultConfig() Config { return Config{} }

// leastToken is how long a token must be: what is shorter can be guessed over a network.
const leastToken = 16

// Check finds values that cannot work, or that would let anybody in.
func (c Config) Check() error {
	var errs []error
	if len(c.Listen) > 0 && c.Token == "" && len(c.Tokens) == 0 {
		errs = append(errs, errors.New("console.listen: needs console.token or console.tokens: whoever reaches the port could remove mail"))
	}
	if c.Token != "" {
		errs = append(errs, checkToken("console.token", c.Token))
	}
	seen := map[string]bool{c.Token: true}
	for i, t := range c.Tokens {
		place := fmt.Sprintf("console.tokens[%d]", i)
		errs = append(errs, checkToken(place+".token", t.Token))
		if seen[t.Token] && t.Token != "" {
			errs = append(errs, errors.New(place+".token: stands here twice"))
		}
		seen[t.Token] = true
		if t.User == "" || strings.ContainsFunc(t.User, notVisible) {
			errs = append(errs, errors.New(place+".user: is not a name without blanks"))
		}
	}
	return errors.Join(errs...)
}

func checkToken(place, token string) error {
	var errs []error
	if len(token) < leastToken {
		errs = append(errs, errors.New(place+": is shorter than 16 characters"))
	}
	if strings.ContainsFunc(token, notVisible) {
		errs = append(errs, errors.New(place+": has characters that cannot stand in a header field"))
	}
	return errors.Join(errs...)
}

// notVisible is true of all but the visible characters of ASCII.
func notVisible(r rune) bool { return r <= ' ' || r > '~' }
