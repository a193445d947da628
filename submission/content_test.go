package submission

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// spoken is a connection on which a client has said everything beforehand.
type spoken struct {
	net.Conn
	io.Reader
}

func (s spoken) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s spoken) Write(p []byte) (int, error)      { return len(p), nil }
func (s spoken) SetReadDeadline(time.Time) error  { return nil }
func (s spoken) SetWriteDeadline(time.Time) error { return nil }

// readContent reads what stands before the dot in text, and returns what follows it.
func readContent(text io.Reader, c Config) (content, behind string, err error) {
	w := newWire(spoken{Reader: text}, c)
	all := w.content(c)
	octets, err := io.ReadAll(all)
	all.drain()
	if all.complete {
		rest, _ := io.ReadAll(w.in)
		behind = string(rest)
	}
	return string(octets), behind, err
}

func TestContentEndsAtItsDotOnly(t *testing.T) {
	small := DefaultConfig()
	small.MaxSize, small.MaxLine = 40000, 30000
	long := strings.Repeat("x", 30000)
	for _, c := range []struct{ text, content, behind, wrong string }{
		{".\r\nQUIT", "", "QUIT", ""},
		{"a\r\n.\r\nQUIT", "a\r\n", "QUIT", ""},
		{"..\r\n.a\r\n...b\r\n.\r\n", ".\r\na\r\n..b\r\n", "", ""},
		{"\r\n\r\n.\r\n", "\r\n\r\n", "", ""},
		{"a\n.\r\nMAIL\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\n.\nMAIL\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\r\n.\nMAIL\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\r.\r\nMAIL\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\r\n.\rMAIL\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\r\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\r\n.\r\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\r\n\r.\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"\n\r\n.\r\nQUIT", "", "QUIT", "550"},
		{"a\x00\r\n.\r\nQUIT", "", "QUIT", "550"},
		{long + "\r\n.\r\nQUIT", long + "\r\n", "QUIT", ""},
		{long + "x\r\n.\r\nQUIT", "", "QUIT", "550"},
		{long + "\r\n" + long[:9996] + "\r\n.\r\nQUIT", long + "\r\n" + long[:9996] + "\r\n", "QUIT", ""},
		{long + "\r\n" + long[:9997] + "\r\n.\r\nQUIT", "", "QUIT", "552"},
		{long[:inBuffer-1] + "\r\n.\r\nQUIT", long[:inBuffer-1] + "\r\n", "QUIT", ""}, // CR and LF in different buffers
		{long[:inBuffer-1] + "\rx\r\n.\r\nQUIT", "", "QUIT", "550"},
		{long[:inBuffer-1] + "\r", "", "", "EOF"},
		{"a\r\n.\r", "", "", "EOF"},
		{"a\r\n", "", "", "EOF"},
		{"", "", "", "EOF"},
	} {
		for name, reader := range map[string]io.Reader{"whole": strings.NewReader(c.text), "octets": iotest.OneByteReader(strings.NewReader(c.text))} {
			content, behind, err := readContent(reader, small)
			if err == nil && (content != c.content || c.wrong != "") || err != nil && (c.wrong == "" || !strings.Contains(err.Error(), c.wrong)) || behind != c.behind {
				t.Errorf("%.40q (%s): content %.40q, then %q, %v", c.text, name, content, behind, err)
			}
		}
	}
}

// FuzzContent compares with the rule itself: the content goes to the first CRLF.CRLF, or dot at its begin, and every CR and LF in it is in a pair.
func FuzzContent(f *testing.F) {
	f.Add([]byte("a\r\n..\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("a\r\r\n.\r\n"))
	f.Add([]byte(".\r\r\n.\r\n\n.\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		config := DefaultConfig()
		before, behind, ends := bytes.Cut(append([]byte("\r\n"), text...), []byte("\r\n.\r\n"))
		lone := bytes.ReplaceAll(before, []byte("\r\n"), nil)
		clean := !bytes.ContainsAny(lone, "\r\n\x00")
		want := bytes.ReplaceAll(before, []byte("\r\n."), []byte("\r\n"))
		content, after, err := readContent(bytes.NewReader(text), config)
		if !ends || !clean {
			if err == nil {
				t.Fatalf("%q was accepted as %q", text, content)
			}
			if ends && after != string(behind) {
				t.Fatalf("%q goes on behind its end with %q", text, after)
			}
			return
		}
		if err != nil || "\r\n"+content != string(want)+"\r\n" || after != string(behind) {
			t.Fatalf("%q became %q, then %q, %v", text, content, after, err)
		}
	})
}

func TestRefusedContentIsNotReadForEver(t *testing.T) {
	config := DefaultConfig()
	config.MaxSize = 64 << 10
	endless := &repeating{line: []byte("all work and no play\r\n")}
	_, _, err := readContent(endless, config)
	if err == nil || endless.given > 5*config.MaxSize {
		t.Errorf("%d octets were read, %v", endless.given, err)
	}
}

// repeating is a line without end.
type repeating struct {
	line  []byte
	given int64
}

func (r *repeating) Read(p []byte) (int, error) {
	if len(p) < len(r.line) {
		return 0, errors.New("no room")
	}
	r.given += int64(len(r.line))
	return copy(p, r.line), nil
}

func TestPace(t *testing.T) {
	p := pace{silence: 3 * time.Minute, rate: 1000}
	for _, c := range []struct {
		received int64
		waited   time.Duration
		left     time.Duration
	}{
		{0, 0, 3 * time.Minute},
		{0, 2 * time.Minute, time.Minute},
		{60_000, 2 * time.Minute, 2 * time.Minute},
		{10_000_000, time.Hour, 3 * time.Minute},
		{180, 4 * time.Minute, 0},
	} {
		p.received, p.waited = c.received, c.waited
		if left := p.left(); left != c.left {
			t.Errorf("%d octets in %s: %s left, want %s", c.received, c.waited, left, c.left)
		}
	}
}
