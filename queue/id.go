package queue

import (
	"errors"
	"strings"
)

// ID names a message. IDs are ordered by time of acceptance: the upper 44 bits are milliseconds since 1970, the lower 20 tell apart what came in
// one of them. The zero ID is none.
type ID uint64

// idDigits are those of Crockford's base 32 in lower case: no i, l, o or u, and in order.
const idDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// idLength is the number of digits: 13 of 5 bits hold 64.
const idLength = 13

var errNotID = errors.New("is not a message id")

// String is id in 13 digits; the order of the texts is that of the ids.
func (id ID) String() string {
	var text [idLength]byte
	for i := idLength - 1; i >= 0; i-- {
		text[i] = idDigits[id&31]
		id >>= 5
	}
	return string(text[:])
}

// ParseID reads what String wrote; capitals are taken too. The zero ID is refused: in a query it would mean all messages.
func ParseID(text string) (ID, error) {
	if len(text) != idLength {
		return 0, errNotID
	}
	var id ID
	for i, c := range []byte(strings.ToLower(text)) {
		digit := strings.IndexByte(idDigits, c)
		if digit < 0 || i == 0 && digit > 15 {
			return 0, errNotID
		}
		id = id<<5 | ID(digit)
	}
	if id == 0 {
		return 0, errNotID
	}
	return id, nil
}
