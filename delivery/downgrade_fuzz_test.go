package delivery

import (
	"bytes"
	"strings"
	"testing"
)

// leafSink collects the leaves of a walk as they stand, and what stands outside.
type leafSink struct {
	outside, current bytes.Buffer
	texts            []string
}

func (s *leafSink) begin(*mimeEntity) error {
	s.texts = append(s.texts, "")
	s.current.Reset()
	return nil
}
func (s *leafSink) body(_ *mimeEntity, octets []byte) error { s.current.Write(octets); return nil }
func (s *leafSink) end(e *mimeEntity) error                 { s.texts[e.number] = s.current.String(); return nil }
func (s *leafSink) aside(octets []byte) error               { s.outside.Write(octets); return nil }

func walked(t *testing.T, text string) *leafSink {
	t.Helper()
	source := newLineSource(strings.NewReader(text))
	defer source.release()
	sink := &leafSink{}
	if err := newMIMEWalk(source, sink).run(); err != nil {
		t.Fatal(err)
	}
	return sink
}

func FuzzDowngrade(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n\xe4\n--b--\n")
	f.Add("\xe4")
	f.Add("Content-Type: message/rfc822\n\nContent-Type: multipart/digest; boundary=b\n\n--b\n--b\n\n\n\xe4")
	f.Add("Content-Transfer-Encoding: quoted-printable\n\n=\xe4\n")
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := planDowngrade(strings.NewReader(text))
		if err != nil {
			return
		}
		got, err := downgraded(t, text)
		if err != nil {
			t.Fatal(err)
		}
		before, after := walked(t, text), walked(t, got)
		if len(before.texts) != len(after.texts) {
			t.Fatalf("%d entities became %d:\n%q", len(before.texts), len(after.texts), got)
		}
		for i, how := range plan.entities {
			was, is := before.texts[i], after.texts[i]
			if holdsEightBit([]byte(is)) {
				t.Fatalf("entity %d still has 8-bit octets: %q", i, is)
			}
			if how == convertQuote || how == convertBase64 {
				is = decoded(t, how.label(), strings.NewReader(is))
			}
			if how != convertStray && was != is {
				t.Fatalf("entity %d, conversion %d: %q became %q", i, how, was, is)
			}
		}
		if holdsEightBit(after.outside.Bytes()) {
			t.Fatalf("8-bit octets outside the entities: %q", after.outside.Bytes())
		}
	})
}
