package submission

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"
)

// maxDenied is how many wrong passwords a connection may send.
const maxDenied = 3

// credentials are what a client says about himself. They are never logged.
type credentials struct{ name, password string }

// authRefusal is a negative reply to AUTH; the connection goes on.
type authRefusal string

// Error implements error.
func (r authRefusal) Error() string { return string(r) }

// auth answers AUTH (RFC 4954). go-smtp does not get to see it, nor the lines that follow: what it would answer to a mistake in them is not what the RFC says.
func (w *wire) auth(line []byte) error {
	c, err := w.askCredentials(line)
	var refused authRefusal
	if errors.As(err, &refused) {
		return w.decline(string(refused))
	}
	if err != nil {
		return err
	}
	return w.logIn(c)
}

// askCredentials reads the command and what follows it.
func (w *wire) askCredentials(line []byte) (credentials, error) {
	if reply := w.authState(); reply != "" {
		return credentials{}, authRefusal(reply)
	}
	fields := bytes.Fields(line)
	if len(fields) < 2 || len(fields) > 3 {
		return credentials{}, authRefusal("501 5.5.4 AUTH has a mechanism, and perhaps a response")
	}
	initial, given := "", len(fields) == 3
	if given {
		initial = string(fields[2])
	}
	switch strings.ToUpper(string(fields[1])) {
	case "PLAIN":
		return w.plain(initial, given)
	case "LOGIN":
		return w.login(initial, given)
	}
	return credentials{}, authRefusal("504 5.5.4 the mechanisms are PLAIN and LOGIN")
}

// authState is the reply when AUTH is not in place now; empty: it is.
func (w *wire) authState() string {
	switch {
	case !w.greeted:
		return "503 5.5.1 EHLO comes first"
	case w.kind == kindSocket || !w.door.accounts.any():
		return "502 5.5.1 AUTH is not offered here"
	case w.user != "":
		return "503 5.5.1 authenticated already" // RFC 4954 s4
	case w.session != nil && w.session.open:
		return "503 5.5.1 AUTH has no place in a transaction" // RFC 4954 s4
	case !w.mayAuth():
		return "538 5.7.11 AUTH needs TLS"
	}
	return ""
}

// mayAuth says whether a password may be sent as the connection is: under TLS, or where nobody can listen.
func (w *wire) mayAuth() bool {
	return w.secured || w.address.IsLoopback() || w.door.config.AllowInsecureAuth
}

// plain is the mechanism PLAIN (RFC 4616): an identity to act as, a name, a password. To act as another is not possible.
func (w *wire) plain(initial string, given bool) (credentials, error) {
	text, err := w.response("", initial, given)
	if err != nil {
		return credentials{}, err
	}
	parts := strings.Split(text, "\x00")
	if len(parts) != 3 {
		return credentials{}, authRefusal("501 5.5.2 this is no response of PLAIN")
	}
	if parts[0] != "" && parts[0] != parts[1] {
		return credentials{}, authRefusal("535 5.7.8 nobody may act as another user")
	}
	return credentials{parts[1], parts[2]}, nil
}

// login is the mechanism LOGIN, which has no RFC; draft-murchison-sasl-login says how it is used. The challenges are "Username:" and "Password:".
func (w *wire) login(initial string, given bool) (credentials, error) {
	name, err := w.response("VXNlcm5hbWU6", initial, given)
	if err != nil {
		return credentials{}, err
	}
	password, err := w.response("UGFzc3dvcmQ6", "", false)
	return credentials{name, password}, err
}

// response decodes what the client answers to a challenge, or what came with the command.
func (w *wire) response(challenge, initial string, given bool) (string, error) {
	if !given {
		w.say("334 " + challenge)
		line, err := w.line()
		if err != nil {
			return "", err
		}
		initial = strings.TrimSuffix(string(line), "\r\n")
	}
	switch {
	case initial == "*" && !given:
		return "", authRefusal("501 5.0.0 AUTH is cancelled") // RFC 4954 s4
	case initial == "=" && given:
		return "", nil // RFC 4954 s4: an empty one
	}
	octets, err := base64.StdEncoding.Strict().DecodeString(initial)
	if err != nil || strings.ContainsAny(initial, "\r\n") {
		return "", authRefusal("501 5.5.2 this is not base64")
	}
	return string(octets), nil
}

// logIn looks whether the password is right, and slows those who guess.
func (w *wire) logIn(c credentials) error {
	d := w.door
	name := "" // only a name that is there is counted and logged: what else is typed may be a password
	if d.accounts.exists(c.name) {
		name = c.name
	}
	right := len(c.password) <= mostPassword && d.accounts.recall(c.name, c.password)
	if !right {
		if !w.trusted && d.tries.exhausted(w.address) {
			return w.hangUp("421 4.7.0 too many wrong passwords came from your address; try again later")
		}
		var err error
		w.pause(d.tries.before(name))
		right, err = d.accounts.check(d.submissions, c.name, c.password[:min(len(c.password), mostPassword+1)])
		if err != nil {
			return w.decline("454 4.7.0 too many clients log in at the moment")
		}
	}
	if !right {
		return w.deny(name)
	}
	d.welcome(w, c.name)
	w.say("235 2.7.0 authenticated")
	return nil
}

// deny answers a wrong password, the later the more there were. name is empty for one that is not there.
func (w *wire) deny(name string) error {
	d := w.door
	d.deps.Log.Warn("wrong password", zap.String("peer", w.peer()), zap.String("user", name), zap.Bool("known", name != ""))
	d.figures.failedLogins.Add(1)
	w.pause(d.tries.failed(w.address, name))
	w.denied++
	if w.denied >= maxDenied {
		return w.hangUp("421 4.7.0 too many wrong passwords")
	}
	return w.decline("535 5.7.8 the name or the password is wrong")
}

// pause waits; the end of the server ends it.
func (w *wire) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.door.serving.Done():
	}
}
