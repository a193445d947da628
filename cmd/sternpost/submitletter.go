package main

import (
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sternpost/mail"
)

// letter is a message that is to be handed to the agent, with its envelope.
type letter struct {
	from   mailbox
	to     []mailbox
	notify string // NOTIFY, RET and ENVID (RFC 3461 s4); empty: nothing is said
	ret    string
	envid  string
	sendAt time.Time // not before (RFC 4865); zero: at once
	header []field
	body   *message
	eight  bool // there are octets above 127
	empty  bool // nothing came, neither header nor body
}

// Close gives the temporary file back.
func (l *letter) Close() error { return l.body.Close() }

// needsUTF8 says whether an address can be used only with SMTPUTF8 (RFC 6531 s3.2).
func (l *letter) needsUTF8() bool {
	return l.from.utf8 || slices.ContainsFunc(l.to, func(m mailbox) bool { return m.utf8 })
}

// complete gives a domain to the addresses of the header that have none, such as the root of cron: others would refuse them (RFC 5322 s3.4.1).
func (l *letter) complete(domain mail.Domain) {
	for i, f := range l.header {
		switch strings.TrimPrefix(strings.ToLower(f.name), "resent-") {
		case "from", "sender", "reply-to", "to", "cc":
			name, list, _ := strings.Cut(f.text, ":")
			l.header[i].text = name + ":" + completeAddresses(list, string(domain))
		}
	}
}

// writeTo writes header and body; lines end in CRLF.
func (l *letter) writeTo(w io.Writer) error {
	for _, f := range l.header {
		if _, err := io.WriteString(w, f.text); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	body, err := l.body.Open()
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// wanted is what a command line says of a letter.
type wanted struct {
	sender     *string  // nil: who calls
	senderFrom bool     // without sender: the address of the From field, where it has one
	recipients []string // lists of addresses
	fromHeader bool     // the recipients of the header too
	fullName   string   // in a From field that is added
	key        string   // for an Idempotency-Key field
}

// read makes a letter of what t gives, to its end: nothing is sent before. A program may take hours to write it, longer than the agent waits for a client.
func (w wanted) read(t *text) (*letter, error) {
	l := &letter{}
	var err error
	if l.to, err = parseRecipients(w.recipients); err != nil {
		return nil, withCode(exitInput, err)
	}
	if l.header, err = t.header(); err != nil {
		return nil, withCode(exitInput, fmt.Errorf("the message cannot be read: %w", err))
	}
	if err := errors.Join(w.readRecipients(l), w.readSender(l)); err != nil {
		return nil, withCode(exitInput, err)
	}
	l.empty = len(l.header) == 0
	w.alter(l)
	if l.body, err = holdMessage(t); err != nil {
		return nil, withCode(exitAgain, err)
	}
	l.empty = l.empty && l.body.size == 0
	l.eight = t.eight || slices.ContainsFunc(l.header, func(f field) bool { return hasEight([]byte(f.text)) })
	return l, nil
}

// readRecipients adds those of the header. A message that is sent again has them in Resent- fields (RFC 5322 s3.6.6).
func (w wanted) readRecipients(l *letter) error {
	if w.fromHeader {
		prefix := ""
		if slices.ContainsFunc(l.header, func(f field) bool { return strings.HasPrefix(strings.ToLower(f.name), "resent-") }) {
			prefix = "Resent-"
		}
		var values []string
		for _, f := range l.header {
			if f.is(prefix+"To") || f.is(prefix+"Cc") || f.is(prefix+"Bcc") {
				values = append(values, f.value())
			}
		}
		found, err := parseRecipients(values)
		if err != nil {
			return fmt.Errorf("the recipients of the header: %w", err)
		}
		for _, m := range found {
			if !slices.Contains(l.to, m) {
				l.to = append(l.to, m)
			}
		}
	}
	if len(l.to) == 0 {
		return errors.New("no recipient: neither the command line nor To, Cc or Bcc of the message names one")
	}
	return nil
}

// readSender finds the reverse-path.
func (w wanted) readSender(l *letter) (err error) {
	if w.sender != nil {
		if l.from, err = parseSender(*w.sender); err != nil {
			return fmt.Errorf("the sender: %w", err)
		}
		return nil
	}
	if i := slices.IndexFunc(l.header, func(f field) bool { return f.is("From") }); i >= 0 && w.senderFrom {
		if list, err := parseRecipients([]string{l.header[i].value()}); err == nil && len(list) == 1 {
			l.from = list[0]
			return nil
		}
	}
	name, _ := localUser()
	if l.from, err = parseMailbox(name); err != nil {
		return fmt.Errorf("the name of this user is no sender, so name one: %w", err)
	}
	return nil
}

// alter takes the blind copies out of the header (RFC 5322 s3.6.3) and adds From, without which a message is none (RFC 5322 s3.6). Date and Message-ID are added by the agent.
func (w wanted) alter(l *letter) {
	l.header = slices.DeleteFunc(l.header, func(f field) bool {
		return f.is("Bcc") || f.is("Resent-Bcc") || w.key != "" && f.is("Idempotency-Key")
	})
	var added []field
	if w.key != "" {
		added = append(added, field{"Idempotency-Key", "Idempotency-Key: " + w.key + "\r\n"})
	}
	if !slices.ContainsFunc(l.header, func(f field) bool { return f.is("From") }) {
		added = append(added, field{"From", "From: " + w.author(l.from) + "\r\n"})
	}
	l.header = append(added, l.header...)
}

// author is the value of the From field that is added: the sender, or who calls where that is nobody.
func (w wanted) author(sender mailbox) string {
	user, gecos := localUser()
	address, name := sender.text, w.fullName
	if address == "" {
		address = user
	}
	if name == "" && address == user {
		name = gecos
	}
	if name == "" {
		return address
	}
	// Package net/mail writes the name only: it would quote the address once more.
	written := netmail.Address{Name: name, Address: "x@x"}
	return strings.TrimSuffix(written.String(), "<x@x>") + "<" + address + ">"
}

// localUser is who calls: the name, and the full name, which may be empty. A container may know its users by number only.
func localUser() (name, full string) {
	u, err := user.Current()
	if err != nil || u.Username == "" {
		return "uid" + strconv.Itoa(os.Getuid()), ""
	}
	if strings.ContainsFunc(u.Name, unicode.IsControl) {
		u.Name = ""
	}
	return u.Username, u.Name
}
