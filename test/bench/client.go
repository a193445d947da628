//go:build bench

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// clientMain is the program that hands a load in; text is the load.
func clientMain(text string) error {
	c := new(client)
	if err := json.Unmarshal([]byte(text), &c.load); err != nil {
		return err
	}
	var err error
	if c.content, err = onTheWire(c.File); err != nil {
		return err
	}
	if c.open, err = c.way(); err != nil {
		return err
	}
	for i := range c.Domains {
		to := c.Domain
		if strings.Contains(to, "%d") {
			to = fmt.Sprintf(to, i)
		}
		c.recipients = append(c.recipients, "you@"+to)
	}
	return c.run()
}

// onTheWire reads a message and gives it the form that it has between the 354 and the reply to the dot.
func onTheWire(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte("\n."), []byte("\n.."))
	return append(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), ".\r\n"...), nil
}

// client hands a load in, as smtp-source -d does: each session is kept and goes from one message to the next, one command at a time.
type client struct {
	load
	content    []byte
	recipients []string
	open       func() (visit, error)
	begun      atomic.Int64

	mu       sync.Mutex // for what follows, and for the standard output
	accepted int
}

func (c *client) run() error {
	if err := c.mark(0); err != nil {
		return err
	}
	var sessions errgroup.Group
	for range c.Sessions {
		sessions.Go(c.converse)
	}
	return sessions.Wait()
}

// converse is one session. It ends when all messages have been begun.
func (c *client) converse() error {
	s, err := c.open()
	if err != nil {
		return err
	}
	for {
		n := int(c.begun.Add(1)) - 1
		if n >= c.Messages {
			return s.close()
		}
		err := s.hand(cmp.Or(c.Sender, "sender@bench.test"), c.recipients[n%len(c.recipients)], c.content)
		if err == nil {
			err = c.mark(1)
		}
		if err != nil {
			return errors.Join(err, s.close())
		}
	}
}

// mark counts accepted messages, and tells the time after each step.
func (c *client) mark(more int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted += more
	if c.Step == 0 || c.accepted%c.Step != 0 && c.accepted != c.Messages {
		return nil
	}
	_, err := fmt.Println(c.accepted, time.Now().UnixNano())
	return err
}

// session is an SMTP session with a server that is measured.
type session struct {
	conn net.Conn
	in   *bufio.Reader
}

func openSession(address string) (*session, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, in: bufio.NewReader(conn)}
	if err := s.greet(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

func (s *session) greet() error {
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := s.expect("220"); err != nil {
		return err
	}
	return s.say([]byte("EHLO bench.test\r\n"), "250")
}

// hand makes one transaction.
func (s *session) hand(from, to string, content []byte) error {
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := s.say([]byte("MAIL FROM:<"+from+">\r\n"), "250"); err != nil {
		return err
	}
	if err := s.say([]byte("RCPT TO:<"+to+">\r\n"), "250"); err != nil {
		return err
	}
	if err := s.say([]byte("DATA\r\n"), "354"); err != nil {
		return err
	}
	return s.say(content, "250")
}

func (s *session) say(octets []byte, code string) error {
	if _, err := s.conn.Write(octets); err != nil {
		return err
	}
	return s.expect(code)
}

// expect reads one reply. Any other code than this ends the run.
func (s *session) expect(code string) error {
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(line, []byte(code)) {
			return fmt.Errorf("the server says %q in place of %s", line, code)
		}
		if len(line) < 4 || line[3] != '-' {
			return nil
		}
	}
}

func (s *session) close() error {
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return errors.Join(s.say([]byte("QUIT\r\n"), "221"), s.conn.Close())
}
