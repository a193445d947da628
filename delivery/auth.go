package delivery

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"sternpost/mail"
)

// credentialsRest is how long credentials that were refused are not shown again: a provider that sees them refused every second locks the
// account.
const credentialsRest = 5 * time.Minute

// mechanisms lists the SASL mechanisms that we speak, in the order of preference.
func mechanisms() []string { return []string{"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"} }

// authenticate says AUTH (RFC 4954 s4). Whatever refuses it is trouble of ours with this smarthost, not of the mail.
func (s *session) authenticate() *event {
	host := s.target.smarthost
	if s.tls == nil && !host.InsecureAuth {
		return s.cannotAuthenticate(errors.New("the connection has no TLS, and insecure_auth is off"))
	}
	secret, err := host.secret()
	if err != nil {
		return s.noteFailure(mail.StageAuth, time.Now(), s.mark(&event{stage: mail.StageAuth, cause: causeLocal, err: err}))
	}
	mechanism, err := chooseMechanism(host.Mechanism, s.ext.auth)
	if err != nil {
		return s.cannotAuthenticate(err)
	}
	s.secrets.add(secret)
	return s.converse(newSASL(mechanism, host, secret))
}

func (s *session) cannotAuthenticate(err error) *event {
	e := s.mark(&event{stage: mail.StageAuth, cause: causeAuth, err: err})
	return s.noteFailure(mail.StageAuth, time.Now(), e)
}

// chooseMechanism takes the configured mechanism, or the first password mechanism that is offered. Tokens are never sent as passwords
// unasked.
func chooseMechanism(wanted string, offered []string) (string, error) {
	choice := []string{"PLAIN", "LOGIN"}
	if wanted != "" {
		choice = []string{strings.ToUpper(wanted)}
	}
	for _, m := range choice {
		if slices.Contains(offered, m) {
			return m, nil
		}
	}
	if len(offered) == 0 {
		return "", errors.New("the host does not offer AUTH")
	}
	return "", fmt.Errorf("no common mechanism: the host offers %s, we speak %s",
		mail.Escape(strings.Join(offered, " ")), strings.Join(choice, " "))
}

func newSASL(mechanism string, host *Smarthost, secret string) sasl.Client {
	switch mechanism {
	case "LOGIN":
		return &login{username: host.Username, password: secret}
	case "XOAUTH2":
		return &xoauth2{username: host.Username, token: secret}
	case "OAUTHBEARER":
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{
			Username: host.Username, Token: secret, Host: host.Host, Port: host.port(),
		})
	default:
		return sasl.NewPlainClient("", host.Username, secret)
	}
}

// login is the LOGIN mechanism, by the order of its questions and not by their words, which differ from server to server. go-sasl's knows only
// "Password:".
type login struct {
	username, password string
	asked              int
}

// Start gives no initial response: not every server takes one.
func (l *login) Start() (mechanism string, initial []byte, err error) { return "LOGIN", nil, nil }

// Next answers the first question with the name and the second with the password.
func (l *login) Next([]byte) ([]byte, error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte(l.username), nil
	case 2:
		return []byte(l.password), nil
	default:
		return nil, sasl.ErrUnexpectedServerChallenge
	}
}

// xoauth2 is the mechanism of Google and Microsoft that came before OAUTHBEARER; go-sasl has none. An error is told in a challenge,
// which wants an empty answer before the final reply.
type xoauth2 struct{ username, token string }

// Start gives the initial response.
func (x *xoauth2) Start() (mechanism string, initial []byte, err error) {
	return "XOAUTH2", []byte("user=" + x.username + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next answers the challenge that tells of an error.
func (x *xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }

// maxAuthLine is the length of a command line with its CRLF (RFC 5321 s4.5.3.1.4). An initial response that goes beyond, as long tokens do, is
// sent when the server asks for it (RFC 4954 s4).
const maxAuthLine = 510

// maxChallenges bounds a conversation that a broken server would carry on for ever.
const maxChallenges = 10

// converse carries a SASL conversation. Its commands are secrets, so only replies go into the tree; all steps share one
// deadline.
func (s *session) converse(client sasl.Client) *event {
	mechanism, initial, err := client.Start()
	if err != nil {
		return s.cannotAuthenticate(err)
	}
	defer func(until time.Time) { s.until = until }(s.until)
	s.until = s.deadline(mail.StageAuth)
	command := "AUTH " + mechanism
	if initial != nil && len(command)+len(encodeResponse(initial)) < maxAuthLine {
		command += " " + encodeResponse(initial)
		initial = nil
	}
	for range maxChallenges {
		if command != "AUTH "+mechanism {
			s.secrets.add(command[strings.LastIndexByte(command, ' ')+1:])
		}
		reply, e := s.command(mail.StageAuth, command)
		switch {
		case e != nil:
			return e
		case err != nil: // we had cancelled
			return s.cannotAuthenticate(err)
		case reply.Positive():
			return nil
		case reply.Code != 334:
			return s.refuse(mail.StageAuth, reply)
		}
		if initial != nil {
			command, initial = base64.StdEncoding.EncodeToString(initial), nil
		} else if command, err = answer(client, reply); err != nil {
			command = "*" // RFC 4954 s4: the client cancels, and the server answers 501
		}
	}
	s.broken = true
	return s.cannotAuthenticate(protocolError("the host asks without end"))
}

// answer decodes a challenge and encodes what the client says to it.
func answer(client sasl.Client, reply mail.Reply) (string, error) {
	text := ""
	if len(reply.Lines[0]) > 4 {
		text = reply.Lines[0][4:]
	}
	challenge, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	response, err := client.Next(challenge)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(response), nil
}

// encodeResponse writes an empty initial response as "=" (RFC 4954 s4).
func encodeResponse(response []byte) string {
	if len(response) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(response)
}

// credentialKey names one set of credentials at one smarthost.
type credentialKey struct{ endpoint, username string }

func (s *Smarthost) credentialKey() credentialKey {
	return credentialKey{net.JoinHostPort(s.Host, fmt.Sprint(s.port())), s.Username}
}

// resting says until when the credentials for a target are not to be used; the zero time: they may be, or there are none.
func (a *Agent) resting(t target) time.Time {
	if !t.credentials() {
		return time.Time{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if until := a.rest[t.smarthost.credentialKey()]; time.Now().Before(until) {
		return until
	}
	return time.Time{}
}

// restCredentials keeps refused credentials from being shown again for a while.
func (a *Agent) restCredentials(s *Smarthost, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rest[s.credentialKey()] = now.Add(credentialsRest)
}
