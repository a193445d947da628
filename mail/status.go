package mail

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Status is an enhanced status: class, subject and detail (RFC 3463 s2). The zero value is none.
type Status [3]int

// ParseStatus reads "5.1.1". Class is 2, 4 or 5; subject and detail have one to three digits (RFC 3463 s2).
func ParseStatus(text string) (Status, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Status{}, errNotStatus
	}
	var s Status
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		leadingZero := len(part) > 1 && part[0] == '0'
		if err != nil || len(part) > 3 || leadingZero {
			return Status{}, errNotStatus
		}
		s[i] = int(n)
	}
	if s[0] != 2 && s[0] != 4 && s[0] != 5 {
		return Status{}, errNotStatus
	}
	return s, nil
}

var errNotStatus = errors.New("is not an enhanced status such as 5.1.1")

// IsZero says whether s is none.
func (s Status) IsZero() bool { return s == Status{} }

// String is "5.1.1", and empty for none.
func (s Status) String() string {
	if s.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", s[0], s[1], s[2])
}

// MarshalText writes s as String does.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = Status{}
		return nil
	}
	parsed, err := ParseStatus(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}
