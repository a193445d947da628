package smtptest

import (
	"encoding/base64"
	"strings"
)

// auth reads what the client offers, then says what the script has for it, or
// judges by the credentials of the script (RFC 4954 section 4).
func (c *conversation) auth(line, argument string) error {
	mechanism, initial, given := strings.Cut(argument, " ")
	a := Auth{Mechanism: strings.ToUpper(mechanism), TLS: c.tls}
	r := c.choose("auth", line)
	if given {
		a.Responses = append(a.Responses, initial)
	}
	if r != nil && r.has(atOnce) {
		return c.endAuth(a, r)
	}
	exchange := c.exchange(a.Mechanism)
	if exchange == nil {
		if r == nil {
			r = polite("504 5.5.4 mechanism not known here")
		}
		return c.endAuth(a, r)
	}
	if err := exchange(&a); err != nil {
		return err
	}
	if r == nil {
		var err error
		if r, err = c.judge(&a); err != nil {
			return err
		}
	}
	return c.endAuth(a, r)
}

// exchange returns the mechanism's side of the server.
func (c *conversation) exchange(mechanism string) func(*Auth) error {
	return map[string]func(*Auth) error{
		"PLAIN": c.authPlain, "LOGIN": c.authLogin, "XOAUTH2": c.authXOAUTH2, "OAUTHBEARER": c.authBearer,
	}[mechanism]
}

func (c *conversation) endAuth(a Auth, r *rule) error {
	_, code := r.reply()
	a.Accepted = code == 235
	if a.Accepted {
		c.user = a.User
	}
	c.server.note(func() { c.heard.Auths = append(c.heard.Auths, a) })
	return c.play(r)
}

// judge compares with the credentials. The OAuth mechanisms say why in one more
// challenge before they refuse (RFC 7628 section 3.2.2).
func (c *conversation) judge(a *Auth) (*rule, error) {
	secret, known := c.script.settings.credentials[a.User]
	if known && secret == a.Secret {
		return polite("235 2.7.0 welcome"), nil
	}
	if a.Mechanism == "XOAUTH2" || a.Mechanism == "OAUTHBEARER" {
		if _, err := c.challenge(a, `{"status":"invalid_token"}`); err != nil {
			return nil, err
		}
	}
	return polite("535 5.7.8 credentials not valid"), nil
}

// challenge sends a 334 reply and returns the decoded response.
func (c *conversation) challenge(a *Auth, say string) (string, error) {
	if err := c.play(polite("334 " + base64.StdEncoding.EncodeToString([]byte(say)))); err != nil {
		return "", err
	}
	line, err := c.wire.line()
	a.Responses = append(a.Responses, line)
	return decode(line), err
}

// response returns the decoded nth response; the initial one may be missing.
func (c *conversation) response(a *Auth, nth int, say string) (string, error) {
	if len(a.Responses) > nth {
		return decode(a.Responses[nth]), nil
	}
	return c.challenge(a, say)
}

// decode reads base64; "=" is the empty response (RFC 4954 section 4). What is
// no base64 is recorded in Responses and counts as empty.
func decode(response string) string {
	octets, err := base64.StdEncoding.DecodeString(response)
	if err != nil {
		return ""
	}
	return string(octets)
}

// authPlain reads authzid NUL user NUL password (RFC 4616 section 2).
func (c *conversation) authPlain(a *Auth) error {
	response, err := c.response(a, 0, "")
	parts := strings.SplitN(response, "\x00", 3)
	if len(parts) == 3 {
		a.Authzid, a.User, a.Secret = parts[0], parts[1], parts[2]
	}
	return err
}

// authLogin asks for user and password; the prompts are those that clients of
// this mechanism expect.
func (c *conversation) authLogin(a *Auth) (err error) {
	if a.User, err = c.response(a, 0, "Username:"); err != nil {
		return err
	}
	a.Secret, err = c.response(a, 1, "Password:")
	return err
}

// authXOAUTH2 reads user=U ^A auth=Bearer T ^A ^A.
func (c *conversation) authXOAUTH2(a *Auth) error {
	response, err := c.response(a, 0, "")
	for field := range strings.SplitSeq(response, "\x01") {
		if user, ok := strings.CutPrefix(field, "user="); ok {
			a.User = user
		}
		a.bearer(field)
	}
	return err
}

// authBearer reads n,a=U, ^A auth=Bearer T ^A ^A (RFC 7628 section 3.1). The
// user is the authorization identity of the GS2 header.
func (c *conversation) authBearer(a *Auth) error {
	response, err := c.response(a, 0, "")
	fields := strings.Split(response, "\x01")
	for part := range strings.SplitSeq(fields[0], ",") {
		if user, ok := strings.CutPrefix(part, "a="); ok {
			// RFC 5801 section 4: comma and equals sign are written =2C and =3D.
			a.Authzid = strings.NewReplacer("=2C", ",", "=3D", "=").Replace(user)
			a.User = a.Authzid
		}
	}
	for _, field := range fields[1:] {
		a.bearer(field)
	}
	return err
}

func (a *Auth) bearer(field string) {
	if token, ok := strings.CutPrefix(field, "auth=Bearer "); ok {
		a.Secret = token
	}
}
