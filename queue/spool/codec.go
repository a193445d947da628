package spool

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"sternpost/mail"
)

// errDamaged says that a stored value is not what was written.
var errDamaged = errors.New("is damaged")

// writer builds a value: numbers are varints, texts carry their length.
type writer struct{ b []byte }

func (w *writer) number(n uint64)  { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) time(t time.Time) { w.number(nanos(t)) }

func (w *writer) flag(f bool) {
	if f {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func text[T ~string | ~[]byte](w *writer, t T) {
	w.number(uint64(len(t)))
	w.b = append(w.b, t...)
}

func (w *writer) texts(list []string) {
	w.number(uint64(len(list)))
	for _, t := range list {
		text(w, t)
	}
}

func (w *writer) address(a mail.Address) {
	text(w, a.Local)
	text(w, a.Domain)
}

func (w *writer) status(s mail.Status) {
	for _, n := range s {
		w.number(uint64(n))
	}
}

// reader takes a value apart. After the first thing that does not fit it is bad and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) spoil() {
	r.bad, r.b = true, nil
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.spoil()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count is a number of things that follow, each at least one octet long.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.spoil()
		return 0
	}
	return int(n)
}

// small is a number that fits an int32: a code, a counter.
func (r *reader) small() int {
	n := r.number()
	if n > 1<<31-1 {
		r.spoil()
		return 0
	}
	return int(n)
}

func (r *reader) octet() byte {
	if len(r.b) == 0 {
		r.spoil()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) flag() bool { return r.octet() != 0 }

func (r *reader) time() time.Time { return moment(r.number()) }

func (r *reader) octets() []byte {
	n := r.count()
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) text() string { return string(r.octets()) }

func (r *reader) texts() []string {
	var list []string
	for range r.count() {
		list = append(list, r.text())
	}
	return list
}

func (r *reader) address() mail.Address {
	return mail.Address{Local: r.text(), Domain: mail.Domain(r.text())}
}

func (r *reader) status() mail.Status {
	return mail.Status{r.small(), r.small(), r.small()}
}

func (r *reader) ip() netip.Addr {
	var ip netip.Addr
	if err := ip.UnmarshalBinary(r.octets()); err != nil {
		r.spoil()
	}
	return ip
}

// end is the error of the whole value.
func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errDamaged
	}
	return nil
}
