package submission

import (
	"bytes"
	"io"
)

// proven is content that its door has looked through: lines end in CRLF, no CR or LF stands alone, and there is no NUL.
type proven interface{ proven() }

// checked is content that is proven, or is looked through while it is read.
func checked(content io.Reader) io.Reader {
	if _, ok := content.(proven); ok {
		return content
	}
	return &octets{content: content}
}

// octets refuses what no message may hold: NUL, and a CR or LF that stands alone (RFC 5322 s2.2, s2.3). Others might find the end of the message there and take the rest for
// commands (RFC 5321 s2.3.8).
type octets struct {
	content io.Reader
	cr      bool // the last octet was a CR
	refused error
}

// Read passes content on. A Refusal stays.
func (o *octets) Read(p []byte) (int, error) {
	if o.refused != nil {
		return 0, o.refused
	}
	n, err := o.content.Read(p)
	if o.refused = o.check(p[:n], err == io.EOF); o.refused != nil {
		return 0, o.refused
	}
	return n, err
}

func (o *octets) check(p []byte, last bool) error {
	if bytes.IndexByte(p, 0) >= 0 {
		return refuse(550, "5.6.0", "the message holds a NUL")
	}
	crs := bytes.Count(p, []byte("\r"))
	if o.cr {
		crs++
	}
	for at := 0; at < len(p); {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
		if before := at - 2; before >= 0 && p[before] != '\r' || before < 0 && !o.cr {
			return standsAlone()
		}
		crs--
	}
	if len(p) > 0 {
		o.cr = p[len(p)-1] == '\r'
	}
	if o.cr {
		crs-- // what it is shows in the next octet
	}
	if crs != 0 || o.cr && last {
		return standsAlone()
	}
	return nil
}

func standsAlone() *Refusal {
	return refuse(550, "5.6.0", "a CR or LF stands alone in the message; lines end in CRLF")
}
