package mail

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"time"
)

// object appends a JSON object to b, key by key; begin makes one. The tree of every attempt is written as JSON, and encoding/json took a tenth of all
// the time that a message costs, since it reads the text of each nested Marshaler once more.
type object struct {
	b     []byte
	begun bool // it has a key
}

func begin(b []byte) object { return object{b: append(b, '{')} }

func (o *object) end() []byte { return append(o.b, '}') }

// key begins a value, and returns b for those who append it.
func (o *object) key(name string) []byte {
	if o.begun {
		o.b = append(o.b, ',')
	}
	o.begun = true
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
	return o.b
}

func (o *object) text(name, value string) { o.b = appendText(o.key(name), value) }
func (o *object) number(name string, value int) {
	o.b = strconv.AppendInt(o.key(name), int64(value), 10)
}
func (o *object) flag(name string, value bool) { o.b = strconv.AppendBool(o.key(name), value) }
func (o *object) null(name string)             { o.b = append(o.key(name), "null"...) }
func (o *object) ip(name string, value netip.Addr) {
	text := ""
	if value.IsValid() {
		text = value.String()
	}
	o.text(name, text)
}

// time is in UTC, as RFC 3339.
func (o *object) time(name string, value time.Time) {
	o.b = append(value.UTC().AppendFormat(append(o.key(name), '"'), time.RFC3339Nano), '"')
}

// milliseconds is a duration as it is written everywhere: with microseconds as decimals.
func (o *object) milliseconds(name string, d time.Duration) {
	ms := float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
	o.b = strconv.AppendFloat(o.key(name), ms, 'f', -1, 64)
}

// texts is a list also where there is none, as are all lists: readers of the JSON need not ask.
func (o *object) texts(name string, values []string) {
	o.b = append(o.key(name), '[')
	for i, value := range values {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendText(o.b, value)
	}
	o.b = append(o.b, ']')
}

// appended is what writes itself.
type appended interface{ appendJSON(b []byte) []byte }

func objects[T appended](o *object, name string, values []T) {
	o.b = append(o.key(name), '[')
	for i, value := range values {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = value.appendJSON(o.b)
	}
	o.b = append(o.b, ']')
}

// appendText writes a string. Texts that need an escape are for the library.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string has no error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}
