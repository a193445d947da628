package delivery

import (
	"bytes"
	"strings"
	"testing"
)

func TestContentTraits(t *testing.T) {
	for _, test := range []struct {
		name, in                     string
		eightBit, headerUTF8, signed bool
	}{
		{name: "plain", in: "Subject: x\r\n\r\nbody\r\n"},
		{name: "empty", in: ""},
		{name: "no body", in: "Subject: x\r\n"},
		{name: "no line end", in: "Subject: x\r\n\r\nbody"},
		{name: "LF", in: "Subject: x\n\nbody\n"},
		{name: "bare CR", in: "Subject: x\r\n\r\nbo\rdy\r\n"},
		{name: "CR at the end", in: "Subject: x\r\n\r\nbody\r"},
		{name: "NUL", in: "Subject: x\r\n\r\nbo\x00dy\r\n"},
		{name: "NUL in the header", in: "Subject: \x00\r\n\r\nbody\r\n"},
		{name: "UTF-8 body", in: "Subject: x\r\n\r\nbödy\r\n", eightBit: true},
		{name: "legacy body", in: "Subject: x\r\n\r\nb\xf6dy\r\n", eightBit: true},
		{name: "body from the first line", in: "b\xf6dy\r\n\r\n", eightBit: true},
		{name: "body without an empty line", in: "Subject: x\r\nbödy and more\r\n", eightBit: true},
		{name: "body after a bare CR line", in: "Subject: x\r\r\xe4\r", eightBit: true},
		{name: "subject", in: "Subject: bödy\r\n\r\n"},
		{name: "legacy address", in: "To: <j\xf6rg@example.org>\r\n\r\n"},
		{name: "display name", in: "From: Jörg <j@example.org>\r\n\r\n"},
		{name: "quoted display name", in: "From: \"Jörg @ home, \\\"\" <j@example.org>\r\n\r\n"},
		{name: "comment", in: "From: j@example.org (Jörg @ (sein) Haus)\r\n\r\n"},
		{name: "group name", in: "To: Fräulein: a@example.org;\r\n\r\n"},
		{name: "address", in: "To: <jörg@example.org>\r\n\r\n", headerUTF8: true},
		{name: "bare address", in: "Resent-CC: a@example.org, jörg@example.org\r\n\r\n", headerUTF8: true},
		{name: "domain", in: "Reply-To: a <a@bücher.example>, b@example.org\r\n\r\n", headerUTF8: true},
		{name: "quoted local-part", in: "To: \"jö rg\"@example.org\r\n\r\n", headerUTF8: true},
		{name: "folded", in: "to:\r\n A <a@example.org>,\r\n\t<jörg@example.org>\r\n\r\n", headerUTF8: true},
		{name: "address in another field", in: "X-To: <jörg@example.org>\r\n\r\n"},
		{name: "address in the body", in: "Subject: x\r\n\r\nTo: <jörg@example.org>\r\n", eightBit: true},
		{name: "mbox line", in: "From jörg Mon\r\nSubject: x\r\n\r\nbody\r\n"},
		{name: "DKIM", in: "dkim-signature : v=1\r\n\r\n", signed: true},
		{name: "ARC", in: "ARC-Seal: i=1\r\n\r\n", signed: true},
		{name: "S/MIME", in: "Content-Type:\r\n Multipart/Signed ; boundary=x\r\n\r\n", signed: true},
		{name: "only named so", in: "X-DKIM-Signature: v=1\r\nContent-Type: text/plain; x=multipart/signed\r\n\r\nDKIM-Signature: x\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := inspect(strings.NewReader(test.in))
			want := got
			want.eightBit, want.headerUTF8, want.signed = test.eightBit, test.headerUTF8, test.signed
			if err != nil || got != want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
			checkTraits(t, test.in, strings.NewReader(test.in))
		})
	}
}

func TestContentLongHeader(t *testing.T) {
	in := "DKIM-Signature: " + strings.Repeat("x", 3*maxHeader) + "\r\nTo: <jörg@example.org>\r\n\r\n\xe4"
	got, err := inspect(strings.NewReader(in))
	if err != nil || !got.headerUTF8 || !got.eightBit {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestContentHighOctet(t *testing.T) {
	for size := range 70 {
		p := bytes.Repeat([]byte{0x7f}, size)
		if holdsEightBit(p) {
			t.Fatalf("found one in %d octets without", size)
		}
		for i := range p {
			p[i] = 0x80
			if !holdsEightBit(p) {
				t.Fatalf("missed number %d of %d", i, size)
			}
			p[i] = 0x7f
		}
	}
}
