package delivery

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
)

// downgradePlan says how each entity of one message is converted for a host without 8BITMIME (RFC 6152 s3). Whether an entity
// holds eight-bit octets is known only at its end, and its header goes out first: so content is read twice, once for the
// plan and once to write it.
//
// Raw octets in header fields, also in those of enclosed messages, stay as they are: there is no way to encode them without
// guessing their charset, and RFC 6152 speaks of the body only. This departs from RFC 5321 s2.4.
type downgradePlan struct{ entities []conversion }

// conversion is what is done with one entity.
type conversion uint8

const (
	convertNothing conversion = iota
	convertLabel              // only the encoding field: the octets are seven-bit already, or an entity inside is converted
	convertQuote              // to quoted-printable (RFC 2045 s6.7)
	convertBase64             // to base64 (RFC 2045 s6.8)
	convertStray              // octets that its own encoding does not allow
)

// The reasons why content has no conversion.
var (
	errDowngradeSigned   = errors.New("an enclosed signature covers 8-bit text")
	errDowngradeEncoding = errors.New("8-bit text under an unknown encoding, or in a multipart without a boundary")
	errDowngradeChanged  = errors.New("the content is not the one that was read before")
)

// planDowngrade reads content and decides its conversion. An error that is no *contentReadError says that the content cannot be
// converted without harm: it is then to be sent as it is.
func planDowngrade(r io.Reader) (*downgradePlan, error) {
	source := newLineSource(r)
	defer source.release()
	survey := downgradeSurvey{}
	err := newMIMEWalk(source, &survey).run()
	if err != nil {
		return nil, err
	}
	return &downgradePlan{survey.entities}, nil
}

// write writes the conversion of content. The content must be the one that was planned.
func (p *downgradePlan) write(out *wireWriter, source *lineSource) error {
	return newMIMEWalk(source, &downgradeWriter{plan: p, out: out}).run()
}

// downgradeSurvey decides the conversion of each entity.
type downgradeSurvey struct {
	entities      []conversion
	eightBit, nul bool
	line, longest int
}

// begin implements mimeSink.
func (s *downgradeSurvey) begin(e *mimeEntity) error {
	*s = downgradeSurvey{entities: append(s.entities, convertNothing)}
	if e.composite() && e.claimsEightBit() && !e.signed {
		s.entities[e.number] = convertLabel
	}
	return nil
}

// body implements mimeSink.
func (s *downgradeSurvey) body(_ *mimeEntity, octets []byte) error {
	if string(octets) == "\r\n" {
		s.line = 0
		return nil
	}
	s.eightBit = s.eightBit || holdsEightBit(octets)
	s.nul = s.nul || bytes.IndexByte(octets, 0) >= 0
	s.line += len(octets)
	s.longest = max(s.longest, s.line)
	return nil
}

// aside implements mimeSink.
func (s *downgradeSurvey) aside([]byte) error { return nil }

// end implements mimeSink.
func (s *downgradeSurvey) end(e *mimeEntity) error {
	var err error
	s.entities[e.number], err = s.decide(e)
	return err
}

// maxSevenBitLine is the longest line that 7bit allows (RFC 2045 s2.7).
const maxSevenBitLine = 998

// decide chooses the conversion of a leaf. A part that says 7bit, or nothing, and is so, is never touched.
func (s *downgradeSurvey) decide(e *mimeEntity) (conversion, error) {
	unfit := e.claimsEightBit() && (s.nul || s.longest > maxSevenBitLine)
	switch {
	case !s.eightBit && !unfit && e.claimsEightBit() && !e.signed:
		return convertLabel, nil
	case !s.eightBit && !unfit:
		return convertNothing, nil
	case e.signed:
		return convertNothing, errDowngradeSigned
	case e.encoded():
		return convertStray, nil
	case e.unclear():
		return convertNothing, errDowngradeEncoding
	case e.isMessage() || e.isText() && !s.nul:
		return convertQuote, nil
	}
	return convertBase64, nil
}

// downgradeWriter writes entities as the plan says.
type downgradeWriter struct {
	plan    *downgradePlan
	out     *wireWriter
	encoder io.WriteCloser // of the leaf that is being written
}

// begin implements mimeSink.
func (w *downgradeWriter) begin(e *mimeEntity) error {
	if e.number >= len(w.plan.entities) {
		return &contentReadError{errDowngradeChanged}
	}
	how := w.plan.entities[e.number]
	w.encoder = newLeafEncoder(how, e.encoding, w.out)
	return w.header(e, how)
}

func newLeafEncoder(how conversion, encoding string, out io.Writer) io.WriteCloser {
	switch {
	case how == convertQuote:
		return &quoteWriter{out: out}
	case how == convertBase64:
		return base64.NewEncoder(base64.StdEncoding, &wrapWriter{out: out})
	case how == convertStray && encoding == "quoted-printable":
		return strayQuoter{out}
	}
	return strayMask{out}
}

// header writes the header of e. Fields that need no change are written octet by octet as they came.
func (w *downgradeWriter) header(e *mimeEntity, how conversion) error {
	var b bytes.Buffer
	if how.label() == "" {
		b.Write(e.header)
	} else {
		writeLabelled(&b, e, how)
	}
	b.WriteString("\r\n") // also where the empty line was missing
	_, err := w.out.Write(b.Bytes())
	return err
}

// label is the new Content-Transfer-Encoding, empty where the header stays.
func (c conversion) label() string {
	switch c {
	case convertLabel:
		return "7bit"
	case convertQuote:
		return "quoted-printable"
	case convertBase64:
		return "base64"
	}
	return ""
}

// writeLabelled writes the header of e with another encoding.
func writeLabelled(b *bytes.Buffer, e *mimeEntity, how conversion) {
	label := "Content-Transfer-Encoding: " + how.label() + "\r\n"
	for field := range headerFields(e.header) {
		if name, _ := cutField(field); !isField(name, "Content-Transfer-Encoding") {
			b.Write(field)
			continue
		}
		b.WriteString(label)
		label = ""
	}
	if how != convertLabel {
		writeMissing(b, e)
	}
	b.WriteString(label)
}

// writeMissing writes the fields without which an encoding means nothing. Text that nobody described is said to be in an unknown
// charset (RFC 1428 s3).
func writeMissing(b *bytes.Buffer, e *mimeEntity) {
	if e.message && !e.versioned {
		b.WriteString("MIME-Version: 1.0\r\n")
	}
	if !e.typed {
		b.WriteString("Content-Type: text/plain; charset=unknown-8bit\r\n")
	}
}

// body implements mimeSink.
func (w *downgradeWriter) body(_ *mimeEntity, octets []byte) error {
	_, err := w.encoder.Write(octets)
	return err
}

// end implements mimeSink.
func (w *downgradeWriter) end(*mimeEntity) error { return w.encoder.Close() }

// aside implements mimeSink. What stands outside every entity is for nobody to read (RFC 2046 s5.1.1).
func (w *downgradeWriter) aside(octets []byte) error {
	_, err := strayMask{w.out}.Write(octets)
	return err
}
