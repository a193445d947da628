package spool

import (
	"bytes"
	"testing"

	"sternpost/queue"
)

// Whatever stands on the disk, decoding it does not panic; and what can be read is written again in the same way.
func FuzzRecords(f *testing.F) {
	f.Add(encodeStates([]queue.RecipientState{{Attempts: 3}}))
	f.Add(encodeHeader(stored{Submission: submission("a@b.example")})[prefixLength:])
	f.Fuzz(func(t *testing.T, value []byte) {
		_, _ = decodeEntry(value)
		_, _, _ = decodeMessage(1, value)
		if m, content, err := decodeBody(value); err == nil {
			again := append(encodeHeader(m)[prefixLength:], content...)
			if second, _, err := decodeBody(again); err != nil || !bytes.Equal(append(encodeHeader(second)[prefixLength:], content...), again) {
				t.Errorf("a message is not written as it was read: %v", err)
			}
		}
		if states, err := decodeStates(value); err == nil {
			again := encodeStates(states)
			if second, err := decodeStates(again); err != nil || !bytes.Equal(encodeStates(second), again) {
				t.Errorf("states are not written as they were read: %v", err)
			}
		}
	})
}
