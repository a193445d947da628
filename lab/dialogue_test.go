package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
)

// oneHost is the text of a scenario whose only host behaves so.
func oneHost(phrases ...string) string {
	quoted := make([]string, len(phrases))
	for i, p := range phrases {
		quoted[i] = "'" + p + "'"
	}
	return "title = 'one host'\nseed = 7\nzone = 'mx.test. A 127.0.1.1'\n[[host]]\nname = 'mx.test'\nbehaviour = [" + strings.Join(quoted, ", ") + "]\n"
}

// dialogue is what a client says ("> "), hears ("< ", the beginning of the last line of a reply) and waits for ("wait 5m"). "connect" opens a
// connection, from the address that may stand behind it; it is refused, or times out, where that stands behind it. "closed", "reset" and "silent 1h" are how a connection ends.
type dialogue struct {
	t    *testing.T
	w    *TestWorld
	conn net.Conn
	in   *bufio.Reader
}

func (d *dialogue) play(text string) {
	d.t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := d.line(line); err != nil {
			d.t.Fatalf("%s: %v", line, err)
		}
	}
}

func (d *dialogue) line(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "wait":
		wait, err := ParseDuration(rest)
		time.Sleep(wait)
		return err
	case "connect":
		return d.connect(rest)
	case ">":
		_, err := io.WriteString(d.conn, strings.ReplaceAll(rest, `\n`, "\r\n")+"\r\n")
		return err
	case "<":
		return d.hear(rest)
	case "closed":
		return d.ends(io.EOF)
	case "reset":
		return d.ends(syscall.ECONNRESET)
	case "silent":
		wait, err := ParseDuration(rest)
		d.conn.SetReadDeadline(time.Now().Add(wait))
		return errors.Join(err, d.ends(os.ErrDeadlineExceeded))
	case "flood":
		return d.flood(rest)
	}
	return fmt.Errorf("%q is not a line of a dialogue", verb)
}

func (d *dialogue) connect(how string) error {
	if d.conn != nil {
		d.conn.Close()
	}
	var from netip.Addr
	if strings.HasPrefix(how, "from ") {
		from, how = netip.MustParseAddr(how[5:]), ""
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Hour)
	defer cancel()
	conn, err := d.w.Network().DialFrom(ctx, "tcp", from, netip.MustParseAddrPort("127.0.1.1:25"))
	switch want := map[string]error{"refused": syscall.ECONNREFUSED, "timeout": os.ErrDeadlineExceeded}[how]; {
	case how == "timeout" && ctx.Err() != nil:
		return nil
	case want != nil && !errors.Is(err, want):
		return fmt.Errorf("%v", err)
	case want != nil:
		return nil
	case err != nil:
		return err
	}
	d.conn, d.in = conn, bufio.NewReader(conn)
	return nil
}

func (d *dialogue) hear(want string) error {
	for {
		line, err := d.in.ReadString('\n')
		switch {
		case err != nil:
			return err
		case len(line) > 3 && line[3] == '-':
		case !strings.HasPrefix(line, want):
			return fmt.Errorf("heard %q", line)
		default:
			return nil
		}
	}
}

func (d *dialogue) ends(want error) error {
	rest, err := io.ReadAll(d.in)
	if err == nil {
		err = io.EOF
	}
	if len(rest) > 0 || !errors.Is(err, want) {
		return fmt.Errorf("heard %.80q, %v", rest, err)
	}
	return nil
}

// flood reads a megabyte that has the text over and over.
func (d *dialogue) flood(text string) error {
	octets := make([]byte, 1<<20)
	if _, err := io.ReadFull(d.in, octets); err != nil {
		return err
	}
	if strings.Count(string(octets), text) < 1000 {
		return fmt.Errorf("heard %.80q", octets)
	}
	d.conn.Close()
	return nil
}

const (
	hello = "< 220\n> EHLO c.test\n< 250\n"
	begun = hello + "> MAIL FROM:<a@c.test>\n< 250\n"
	ready = begun + "> RCPT TO:<b@mx.test>\n< 250\n"
	sent  = "> DATA\n< 354\n> Subject: x\\n\\nhi\\n.\n"
)

func TestBehavioursAtTheWire(t *testing.T) {
	for phrase, text := range map[string]string{
		"up":                                 "connect\n" + ready + sent + "< 250\n> QUIT\n< 221\nclosed",
		"refused":                            "connect refused",
		"down":                               "connect refused",
		"timeout":                            "connect timeout",
		"no greeting":                        "connect\nsilent 1h",
		"banner 421":                         "connect\n< 421 4.3.2 too busy\nclosed",
		`banner 554 5.7.1 "not you / x"`:     "connect\n< 554 5.7.1 not you / x\nclosed",
		"450 at greeting":                    "connect\n< 450 4.3.2 not now\nclosed",
		"endless banner":                     "connect\nflood 220-mx.test",
		"endless line":                       "connect\nflood xxxx",
		"502 at ehlo":                        "connect\n< 220\n> EHLO c.test\n< 502 5.5.1",
		"451 at mail":                        "connect\n" + hello + "> MAIL FROM:<a@c.test>\n< 451 4.3.0 try again later",
		"550 for bad@.*":                     "connect\n" + ready + "> RCPT TO:<Bad@mx.test>\n< 550 5.1.1 no such user here\n> RCPT TO:<notbad@mx.test>\n< 250",
		"550 for all but b@.*":               "connect\n" + ready + "> RCPT TO:<c@mx.test>\n< 550 5.1.1 no such user here",
		"450 for all":                        "connect\n" + begun + "> RCPT TO:<b@mx.test>\n< 450 4.2.0 mailbox busy",
		"550 for 100 percent":                "connect\n" + begun + "> RCPT TO:<b@mx.test>\n< 550 5.1.1",
		`450 4.7.9 "wait {a*9} \x" for b@.*`: "connect\n" + begun + "> RCPT TO:<b@mx.test>\n< 450 4.7.9 wait {a*9} \\x",
		"mailbox full":                       "connect\n" + begun + "> RCPT TO:<b@mx.test>\n< 452 4.2.2 mailbox full",
		"mailbox full for good for b@.*":     "connect\n" + begun + "> RCPT TO:<b@mx.test>\n< 552 5.2.2 mailbox full",
		"554 at data":                        "connect\n" + ready + "> DATA\n< 554 5.7.1 refused by policy",
		"452 at dot":                         "connect\n" + ready + sent + "< 452 4.3.1 no space left",
		"421 at dot":                         "connect\n" + ready + sent + "< 421\nclosed",
		"size 10": "connect\n" + hello + "> MAIL FROM:<a@c.test> SIZE=11\n< 552 5.3.4 message too big: 10 octets are the most\n" +
			"> MAIL FROM:<a@c.test> BODY=7BIT size=10\n< 250\n> RCPT TO:<b@mx.test>\n< 250\n" + sent + "< 552 5.3.4\n",
		"without SIZE":         "connect\n" + hello + "> MAIL FROM:<a@c.test> SIZE=99999999\n< 552 5.3.4 message too big: 52428800",
		"drop at greeting":     "connect\nclosed",
		"drop at hello":        "connect\n< 220\n> EHLO c.test\nclosed",
		"reset at mail":        "connect\n" + hello + "> MAIL FROM:<a@c.test>\nreset",
		"drop at rcpt":         "connect\n" + begun + "> RCPT TO:<b@mx.test>\nclosed",
		"drop at data":         "connect\n" + ready + "> DATA\nclosed",
		"drop at content":      "connect\n" + ready + "> DATA\n< 354\n> Subject: x\nclosed",
		"drop after the dot":   "connect\n" + ready + sent + "closed",
		"reset after the dot":  "connect\n" + ready + sent + "reset",
		"slow final reply 30s": "connect\n" + ready + sent + "silent 29s",
		"starttls refused":     "connect\n" + hello + "> STARTTLS\n< 454",
		"starttls broken":      "connect\n" + hello + "> STARTTLS\n< 220\n> x\nflood-some",
		"starttls required":    "connect\n" + hello + "> MAIL FROM:<a@c.test>\n< 530 5.7.0",
		"greylist for 5m":      greylisting,
		"421 after 2 messages": "connect\n" + ready + sent + "< 250\n> MAIL FROM:<a@c.test>\n< 250\n> RCPT TO:<b@mx.test>\n< 250\n" + sent + "< 250\n" +
			"> MAIL FROM:<a@c.test>\n< 421 4.7.0 too many messages\nclosed\nconnect\n" + ready,
		"450 4.7.1 after 2 messages per minute": "connect\n" + ready + "> RSET\n< 250\n> MAIL FROM:<b@c.test>\n< 250\n> RSET\n< 250\n" +
			"> MAIL FROM:<c@c.test>\n< 450 4.7.1\nconnect\n" + hello + "> MAIL FROM:<a@c.test>\n< 450 4.7.1\nwait 1m\n> MAIL FROM:<a@c.test>\n< 250\n",
		"down from second 10 to 40":     "connect\n" + begun + "wait 9\n> NOOP\n< 250\nwait 2\nreset\nconnect refused\nwait 28\nconnect refused\nwait 2\nconnect\n" + ready,
		"timeout from 10s":              "connect\n" + hello + "wait 11\nreset\nconnect timeout",
		"451 at mail until 1m":          "connect\n" + hello + "> MAIL FROM:<a@c.test>\n< 451\nwait 1m\n> MAIL FROM:<a@c.test>\n< 250",
		"starttls refused from 5 to 10": "connect\n" + hello + "> STARTTLS\n< 220\nwait 6\nconnect\n" + hello + "> STARTTLS\n< 454",
	} {
		t.Run(phrase, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &dialogue{t: t, w: NewAt(t, oneHost(phrase), Memory(&smtptest.Network{}, 25))}
				text, garbage := strings.CutSuffix(text, "flood-some")
				d.play(text)
				if garbage {
					if rest, err := io.ReadAll(d.in); err != nil || !strings.Contains(string(rest), "garbage") {
						t.Errorf("heard %q, %v", rest, err)
					}
				}
				if d.conn != nil {
					d.conn.Close()
				}
			})
		})
	}
}

// greylisting: another recipient, and another client, wait for themselves.
const greylisting = "connect\n" + begun + `
	> RCPT TO:<b@mx.test>
	< 450 4.7.1 greylisted, come back in 5m
	wait 4m
	> RCPT TO:<B@mx.test>
	< 450 4.7.1 greylisted, come back in 1m
	wait 1m
	> RCPT TO:<b@mx.test>
	< 250
	> RCPT TO:<c@mx.test>
	< 450
	> RSET
	< 250
	> MAIL FROM:<other@c.test>
	< 250
	> RCPT TO:<b@mx.test>
	< 450
	connect from 192.0.2.9
` + begun + "> RCPT TO:<b@mx.test>\n< 450"

func TestTarpitIsAsSlowAsItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialogue{t: t, w: NewAt(t, oneHost("tarpit 10 octets per second", "slow mail 1m"), Memory(&smtptest.Network{}, 25))}
		began := time.Now()
		d.play("connect\n< 220 mx.test ESMTP") // and two octets of line end
		if took := time.Since(began); took != 1900*time.Millisecond {
			t.Errorf("19 octets took %v", took)
		}
		d.play("> HELO c.test\n< 250")
		began = time.Now()
		d.play("> MAIL FROM:<a@c.test>\n< 250 2.1.0 OK")
		if took := time.Since(began); took != time.Minute+1400*time.Millisecond {
			t.Errorf("a slow reply of 14 octets took %v", took)
		}
		d.conn.Close()
	})
}
