package delivery

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// referenceWire is the wire form of content, octet by octet.
func referenceWire(text string, stuffed bool) string {
	var b strings.Builder
	atStart := true
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\r' || c == '\n':
			if c == '\r' && i+1 < len(text) && text[i+1] == '\n' {
				i++
			}
			b.WriteString("\r\n")
			atStart = true
		default:
			if stuffed && atStart && c == '.' {
				b.WriteByte('.')
			}
			b.WriteByte(c)
			atStart = false
		}
	}
	if !atStart {
		b.WriteString("\r\n")
	}
	return b.String()
}

// unstuffReference is what a receiver makes of stuffed content (RFC 5321 s4.5.2).
func unstuffReference(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n"), "\r\n")
}

// contentOf repeats text made of the octets that matter until it has the size.
func contentOf(seed uint64, size int) string {
	r := rand.New(rand.NewPCG(seed, 1))
	tokens := []string{"\r\n", "\r\n", "\n", "\r", ".", "..", "a", "text of a line", "\x00", "\xe4", "\r\n.\r\n", strings.Repeat("x", 3000)}
	tokens = tokens[:4+r.IntN(len(tokens)-4)+1]
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(tokens[r.IntN(len(tokens))])
	}
	return b.String()
}

// splitReader gives its text in pieces of random sizes.
type splitReader struct {
	text string
	most int
	rand *rand.Rand
}

func (s *splitReader) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+s.rand.IntN(s.most))], s.text)
	s.text = s.text[n:]
	return n, nil
}

func checkWire(t *testing.T, text string, split *splitReader) {
	t.Helper()
	for _, stuffed := range []bool{false, true} {
		split.text = text
		var got bytes.Buffer
		n, err := writeContent(&got, split, form{stuffed: stuffed})
		want := referenceWire(text, stuffed)
		if err != nil || got.String() != want || n != int64(len(referenceWire(text, false))) {
			t.Fatalf("stuffed %v: %d octets, %v; want %d octets, the same as the reference", stuffed, n, err, len(want))
		}
		if stuffed && unstuffReference(got.String()) != referenceWire(text, false) {
			t.Fatal("the receiver does not get back what was sent")
		}
	}
	split.text = text
	checkTraits(t, text, split)
}

func checkTraits(t *testing.T, text string, r io.Reader) {
	t.Helper()
	got, err := inspect(r)
	if err != nil {
		t.Fatal(err)
	}
	wire := referenceWire(text, false)
	if got.wireSize != int64(len(wire)) {
		t.Fatalf("traits are %+v; want size %d", got, len(wire))
	}
}

func TestContentEverySplit(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := contentOf(seed, r.IntN(300))
		checkWire(t, text, &splitReader{most: 1 + r.IntN(9), rand: r})
	}
}

func TestContentAcrossChunks(t *testing.T) {
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 3))
		text := contentOf(seed, contentChunk+r.IntN(2*contentChunk))
		checkWire(t, text, &splitReader{most: contentChunk * 2, rand: r})
	}
	for shift := range 4 {
		for _, seam := range []string{"\r\n", "\r\n.", "\r", "\n", "\r\r\n", "\n.\n", ".", "\r\n\r\n"} {
			text := strings.Repeat("x", contentChunk-shift) + seam + strings.Repeat("y", contentChunk) + seam
			checkWire(t, text, &splitReader{most: 1 << 20, rand: rand.New(rand.NewPCG(1, 1))})
		}
	}
}

func FuzzContent(f *testing.F) {
	f.Add("a\r\n.b\n.\rc\r", uint64(1))
	f.Add("", uint64(2))
	f.Add("Subject: x\r\n\r\n.\r\n", uint64(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		checkWire(t, text, &splitReader{most: 1 + int(seed%17), rand: rand.New(rand.NewPCG(seed, 4))})
	})
}

func TestContentReadError(t *testing.T) {
	broken := errors.New("disk on fire")
	r := io.MultiReader(strings.NewReader("Subject: x\r\n\r\nabc\r\n"), iotest.ErrReader(broken))
	_, err := writeContent(io.Discard, r, form{})
	if local := (*contentReadError)(nil); !errors.As(err, &local) || !errors.Is(err, broken) {
		t.Errorf("writeContent: %v", err)
	}
	if _, err := inspect(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("inspect: %v", err)
	}
}

func TestContentWriteError(t *testing.T) {
	broken := errors.New("connection reset")
	_, err := writeContent(failingWriter{broken}, strings.NewReader("abc"), form{})
	if local := (*contentReadError)(nil); errors.As(err, &local) || !errors.Is(err, broken) {
		t.Errorf("writeContent: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
