package delivery

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sternpost/mail"
)

func TestReadReply(t *testing.T) {
	long := strings.Repeat("x", maxReplyLine)
	for _, c := range []struct {
		name, text string
		code       int
		lines      int
		err        string // part of the protocol error
	}{
		{"one line", "250 ok\r\n", 250, 1, ""},
		{"no text", "250\r\n", 250, 1, ""},
		{"bare LF", "250-a\n250 b\n", 250, 2, ""},
		{"many lines", "250-a\r\n250-\r\n250 c\r\n", 250, 3, ""},
		{"octets of all kinds", "550 \x1b[31m\x00\xff<b>\r\n", 550, 1, ""},
		{"garbage", "hello world\r\n", 0, 0, "not an SMTP reply"},
		{"short code", "25 ok\r\n", 0, 0, "not an SMTP reply"},
		{"long code", "2500 ok\r\n", 0, 0, "not an SMTP reply"},
		{"code 099", "099 ok\r\n", 0, 0, "out of range"},
		{"code 199", "199 ok\r\n", 0, 0, "out of range"},
		{"code 600", "600 ok\r\n", 0, 0, "out of range"},
		{"codes differ", "250-ok\r\n550 no\r\n", 0, 0, "250 and 550"},
		{"empty line", "\r\n", 0, 0, "not an SMTP reply"},
		{"long line", "250 " + long + "\r\n", 0, 0, "longer than 4096"},
		{"longest line", "250 " + long[:maxReplyLine-6] + "\r\n", 250, 1, ""},
		{"a hundred lines", strings.Repeat("250-x\r\n", 99) + "250 x\r\n", 250, 100, ""},
		{"more lines", strings.Repeat("250-x\r\n", 100) + "250 x\r\n", 0, 0, "more than 100 lines"},
		{"too much", strings.Repeat("250-"+long[:4000]+"\r\n", 20) + "250 x\r\n", 0, 0, "longer than 65536"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reply, err := readReply(newReplyReader(strings.NewReader(c.text)))
			if c.err != "" {
				if !isProtocol(err) || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want a protocol error with %q", err, c.err)
				}
				return
			}
			if err != nil || reply.Code != c.code || len(reply.Lines) != c.lines {
				t.Errorf("%d with %d lines, %v", reply.Code, len(reply.Lines), err)
			}
		})
	}
	for text, want := range map[string]error{"": io.EOF, "250 o": io.ErrUnexpectedEOF, "250-a\r\n": io.EOF} {
		if _, err := readReply(newReplyReader(strings.NewReader(text))); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// What readReply takes is a reply within its limits, and is what stood on the wire.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n", "250-a\n250 b\n", "250-ok\r\n550 no\r\n", "99 x\r\n", "354\r\n", "421-\xff\r\n421\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		reply, err := readReply(newReplyReader(bytes.NewReader(wire)))
		if err != nil {
			if !isProtocol(err) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if reply.Code < 200 || reply.Code > 599 || len(reply.Lines) == 0 || len(reply.Lines) > maxReplyLines {
			t.Fatalf("took %+v", reply)
		}
		unix := strings.ReplaceAll(string(wire), "\r\n", "\n")
		if joined := strings.Join(reply.Lines, "\n") + "\n"; !strings.HasPrefix(unix, joined) && !strings.Contains(joined, "\r") {
			t.Fatalf("took %q from %q", joined, wire)
		}
		_ = reply.Status()
		if text := reply.String(); strings.ContainsAny(text, "\x1b\x00\r\n") {
			t.Fatalf("prints %q", text)
		}
	})
}

func TestParseExtensions(t *testing.T) {
	reply := mail.Reply{Code: 250, Lines: []string{
		"250-mx.test PIPELINING", "250-pipelining", "250-Size 1000", "250-8BITMIME", "250-SMTPUTF8", "250-DSN", "250-CHUNKING", "250-STARTTLS",
		"250-AUTH PLAIN login", "250-AUTH=XOAUTH2", "250-LIMITS MAILMAX=5 RCPTMAX=10 RCPTDOMAINMAX=x OTHER=1", "250-X-UNKNOWN 1", "250 ",
	}}
	e := parseExtensions(reply)
	if !e.pipelining || !e.eightBit || !e.utf8 || !e.dsn || !e.chunking || !e.startTLS || !e.sized || e.size != 1000 {
		t.Errorf("%+v", e)
	}
	if strings.Join(e.auth, " ") != "PLAIN LOGIN XOAUTH2" {
		t.Errorf("AUTH %v", e.auth)
	}
	if e.limits != (limits{mail: 5, rcpt: 10}) {
		t.Errorf("LIMITS %+v", e.limits)
	}
	if none := parseExtensions(mail.Reply{Code: 250, Lines: []string{"250 PIPELINING SIZE 1"}}); none.pipelining || none.sized {
		t.Error("the first line is a greeting, not a keyword")
	}
}

// The parser takes anything, and never makes a limit of what is not a positive number. The first line is no keyword, names of mechanisms are upper case and
// printable, and lines about different things may stand in any order.
func FuzzExtensions(f *testing.F) {
	f.Add("mx.test", "SIZE 1000", "PIPELINING")
	f.Add("PIPELINING", "LIMITS MAILMAX=-1 RCPTMAX=99999999999999999999", "8bitmime")
	f.Add("SIZE 1", "AUTH=PLAIN", "auth login x\x01y \u017f \xff")
	f.Fuzz(func(t *testing.T, first, one, two string) {
		e := parseExtensions(mail.Reply{Code: 250, Lines: []string{"250-" + first, "250-" + one, "250 " + two}})
		if e.size < 0 || e.limits.mail < 0 || e.limits.rcpt < 0 || e.limits.rcptDomain < 0 {
			t.Fatalf("%q, %q make %+v", one, two, e)
		}
		if other := parseExtensions(mail.Reply{Code: 250, Lines: []string{"250-mx.test", "250-" + one, "250 " + two}}); !reflect.DeepEqual(e, other) {
			t.Fatalf("the first line %q makes %+v of %+v", first, e, other)
		}
		if alone := parseExtensions(mail.Reply{Code: 250, Lines: []string{"250 " + first}}); !reflect.DeepEqual(alone, extensions{}) {
			t.Fatalf("the first line %q makes %+v", first, alone)
		}
		for _, name := range e.auth {
			if name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c >= 'a' && c <= 'z' }) {
				t.Fatalf("%q, %q make the mechanism %q", one, two, name)
			}
		}
		turned := parseExtensions(mail.Reply{Code: 250, Lines: []string{"250-" + first, "250-" + two, "250 " + one}})
		slices.Sort(e.auth)
		slices.Sort(turned.auth)
		if keywordOf(one) != keywordOf(two) && !reflect.DeepEqual(e, turned) {
			t.Fatalf("%q, %q make %+v, and %+v the other way round", one, two, e, turned)
		}
	})
}

func keywordOf(line string) string {
	return strings.Join(strings.Fields(strings.ToUpper(line) + " -")[:1], "")
}
