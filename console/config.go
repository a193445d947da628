package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// Config is the section [console] of the configuration. The doc tags are its documentation; docs/configuration.md is made from them.
type Config struct {
	Listen []netip.AddrPort `toml:"listen" doc:"Addresses and ports of the HTTP API, as in \"127.0.0.1:8025\", beside the admin socket in queue.directory. Empty: the socket only. There is no TLS: put a proxy in front where it leaves the machine."`
	Token  string           `toml:"token" doc:"What callers over TCP must send, as Authorization: Bearer. It must be set where listen is; the admin socket needs none."`
}

// DefaultConfig is what an empty section means.
func DefaultConfig() Config { return Config{} }

// leastToken is how long a token must be: what is shorter can be guessed over a network.
const leastToken = 16

// Check finds values that cannot work, or that would let anybody in.
func (c Config) Check() error {
	var errs []error
	if len(c.Listen) > 0 && c.Token == "" {
		errs = append(errs, errors.New("console.listen: needs console.token: whoever reaches the port could remove mail"))
	}
	if c.Token != "" && len(c.Token) < leastToken {
		errs = append(errs, errors.New("console.token: is shorter than 16 characters"))
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, errors.New("console.token: has characters that cannot stand in a header field"))
	}
	return errors.Join(errs...)
}

// guarded lets in who has the token (RFC 6750 s2.1). Whether the agent is alive is no secret: probes ask it without.
func (c *Console) guarded(answers http.Handler) http.Handler {
	want := sha256.Sum256([]byte(c.config.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got := sha256.Sum256([]byte(token))
		known := strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
		if !known && r.URL.Path != pathAlive && r.URL.Path != pathReady {
			w.Header().Set("WWW-Authenticate", "Bearer") // RFC 6750 s3
			answerProblem(w, problem{http.StatusUnauthorized, "send the token of console.token as Authorization: Bearer"})
			return
		}
		answers.ServeHTTP(w, r)
	})
}
