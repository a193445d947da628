package spool

import (
	"bytes"
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// Whatever stands on the disk, decoding it does not panic; and what can be read is written again in the same way.
func FuzzRecords(f *testing.F) {
	f.Add(encodeStates([]queue.RecipientState{{Attempts: 3}}))
	f.Add(encodeHeader(stored{Submission: submission("a@b.example")})[prefixLength:])
	f.Add(encodeEntry(journal.Entry{Kind: journal.Delivered, Attempt: &mail.Attempt{
		ID: "1", Started: time.Unix(1, 0), Ended: time.Unix(2, 0), DNS: []mail.Lookup{{Name: "b.example", Type: "MX", RCode: mail.RCodeSuccess}},
		Candidates: []mail.Candidate{{Host: "mx", Stages: []mail.StageRecord{{Stage: mail.StageDot, Reply: mail.Reply{Code: 250, Lines: []string{"250 ok"}}}}}},
		Outcomes:   []mail.Outcome{{Disposition: mail.Delivered}},
	}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		if e, err := decodeEntry(value, false); err == nil {
			again := encodeEntry(e)
			if second, err := decodeEntry(again, false); err != nil || !bytes.Equal(encodeEntry(second), again) {
				t.Errorf("an entry is not written as it was read: %v", err)
			}
		}
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
