package smtptest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// ending is why a conversation is over, when it is not an error of the wire.
type ending string

func (e ending) Error() string { return string(e) }

const (
	endQuit    ending = "quit"
	endClosed  ending = "closed by script"
	endReset   ending = "reset by script"
	endStopped ending = "server closed"
)

// endOf puts into words why a conversation ended.
func endOf(err error) string {
	var e ending
	switch {
	case errors.As(err, &e):
		return string(e)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by client"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset by client"
	case errors.Is(err, net.ErrClosed):
		return string(endStopped)
	}
	return err.Error()
}

// play does all steps of a rule.
func (c *conversation) play(r *rule) error {
	defer func() { c.wire.drip = c.script.settings.pace }()
	if err := c.pause(); err != nil {
		return err
	}
	for _, s := range r.steps {
		if err := c.step(s); err != nil {
			return err
		}
	}
	if c.script.settings.flushEach {
		return c.wire.out.Flush()
	}
	return nil
}

func (c *conversation) step(s step) error {
	switch s.action {
	case sayLine, sayRaw, sayEndlessLine, sayEndlessLines, sayGarbage:
		return c.say(s)
	case flushNow:
		return c.wire.out.Flush()
	case readOctets:
		return c.readSome(s.count)
	case sleepFor:
		if err := c.wire.out.Flush(); err != nil {
			return err
		}
		return c.sleep(s.wait)
	case dripEvery:
		c.wire.drip = s.wait
		return nil
	case atOnce:
		return nil
	}
	return c.stop(s.action)
}

// pause waits before a reply whose verb has a delay.
func (c *conversation) pause() error {
	d := c.delay
	c.delay = 0
	if d == 0 {
		return nil
	}
	return c.step(step{action: sleepFor, wait: d})
}

func (c *conversation) say(s step) error {
	end := text{{c.script.settings.lineEnd, 1}}
	switch s.action {
	case sayRaw:
		return s.text.writeTo(c.wire)
	case sayEndlessLine:
		if err := s.text.writeTo(c.wire); err != nil {
			return err
		}
		return text{{"x", endless(s.count)}}.writeTo(c.wire)
	case sayEndlessLines:
		for n := endless(s.count); n > 0; n-- {
			if err := append(s.text[:len(s.text):len(s.text)], end...).writeTo(c.wire); err != nil {
				return err
			}
		}
		return nil
	case sayGarbage:
		// Neither a TLS record nor a reply, and without a line end.
		return text{{"\x8e\xf3garbage\x00\xff\xa1", s.count/12 + 1}}.writeTo(c.wire)
	}
	c.tellLine(Said, s.text.head())
	return append(s.text[:len(s.text):len(s.text)], end...).writeTo(c.wire)
}

// endless returns how often: count, or more than anybody waits for.
func endless(count int64) int64 {
	if count < 0 {
		return 1 << 62
	}
	return count
}

// stop does the steps after which nothing more is said.
func (c *conversation) stop(a action) error {
	if err := c.wire.out.Flush(); err != nil {
		return err
	}
	switch a {
	case stallHere:
		_, err := io.Copy(io.Discard, c.wire.in)
		if err == nil {
			err = io.EOF
		}
		return err
	case stopReading:
		<-c.server.stopped
		return endStopped
	case resetNow:
		return endReset
	}
	return endClosed
}

// readSome reads n octets of whatever comes, or of the content to its end.
func (c *conversation) readSome(n int64) error {
	if c.content != nil {
		return c.content.take(n)
	}
	_, err := io.CopyN(io.Discard, c.wire.in, n)
	return err
}

func (c *conversation) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.server.stopped:
		return endStopped
	}
}

// abort makes the kernel send a reset instead of an orderly end.
func abort(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	switch conn := conn.(type) {
	case *Conn:
		conn.Reset()
	case *net.TCPConn:
		conn.SetLinger(0)
		conn.Close()
	}
}
