package queue

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"
)

// KeyLifetime is how long a key is remembered, from Submission.Received on.
const KeyLifetime = 24 * time.Hour

// longestKey is in octets.
const longestKey = 255

// ErrOtherContent is the answer where the sender has used the key for another message, less than KeyLifetime ago.
var ErrOtherContent = errors.New("another message was accepted with the same key")

// RepeatedError is the answer to Draft.Commit where the message was accepted before, with the same key.
type RepeatedError struct {
	ID ID // that it was given then; it may have left the queue
}

// Error implements error.
func (e *RepeatedError) Error() string { return "it was accepted before, as " + e.ID.String() }

// Accepted says what became of a message that Submit took.
type Accepted struct {
	ID ID
	// Repeated: it was accepted before, with the same key, and is not sent a second time. ID is that of the first time.
	Repeated bool
}

// Digester is a content that knows by what it is told from others with the same key, once it was read to its end. Two contents that a client takes for the same have the
// same digest, whatever was added on the way: a Received field, a date.
type Digester interface{ Digest() [sha256.Size]byte }

// CheckKey says what is wrong with a key: it has 1 to 255 octets, all of them printable US-ASCII other than the space, which header fields do not keep as it is. All doors go by
// this rule, and the error is for those who come through them.
func CheckKey(key string) error {
	if key == "" || len(key) > longestKey {
		return fmt.Errorf("an idempotency key has 1 to %d octets; this one has %d", longestKey, len(key))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return fmt.Errorf("an idempotency key is printable ASCII without spaces; octet %d of this one is %#02x", i+1, key[i])
		}
	}
	return nil
}

// fill copies the content into a draft. Where the submission has a key its digest is set; nobody else pays for one.
func (s *Submission) fill(draft io.Writer, content io.Reader) error {
	if s.Key == "" {
		_, err := io.Copy(draft, content)
		return err
	}
	if known, ok := content.(Digester); ok {
		_, err := io.Copy(draft, content)
		s.Digest = known.Digest()
		return err
	}
	sum := sha256.New()
	_, err := io.Copy(io.MultiWriter(draft, sum), content)
	s.Digest = [sha256.Size]byte(sum.Sum(nil)) // Sum(s.Digest[:0]) would move every submission to the heap
	return err
}

// KeyKnown says whether a key that was used at one time is known at another. A clock that was set back forgets nothing.
func KeyKnown(used, now time.Time) bool { return now.Sub(used) < KeyLifetime }
