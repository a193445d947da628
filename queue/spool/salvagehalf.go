package spool

import (
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/mail"
	"sternpost/queue"
)

// unfounded says whether a report about origin is half of a commit whose other half is lost: origin waits, and neither a failure nor a notice is recorded for it, or none of the failures
// that it tells of. All will come again.
// Ids go up, so origin has been judged.
func (j *judging) unfounded(origin queue.ID, failed []mail.Address) (bool, error) {
	if origin == 0 {
		return false, nil
	}
	if err := j.c.flush(true); err != nil {
		return false, err
	}
	waits, err := j.c.s.has(idKey(kindMessage, origin))
	if err != nil || !waits {
		return false, err
	}
	value, closer, err := j.c.s.db.Get(idKey(kindStates, origin))
	if errors.Is(err, pebble.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	states, err := decodeStates(value)
	if err = errors.Join(err, closer.Close()); err != nil {
		return false, err
	}
	if len(failed) > 0 {
		recorded, err := j.recorded(origin, states, failed)
		return !recorded, err
	}
	return !slices.ContainsFunc(states, func(s queue.RecipientState) bool { return s.State == queue.Failed || s.Noticed }), nil
}

// recorded says whether one of these recipients of a message is recorded as failed.
func (j *judging) recorded(id queue.ID, states []queue.RecipientState, failed []mail.Address) (bool, error) {
	value, closer, err := j.c.s.db.Get(idKey(kindMessage, id))
	if err != nil {
		return false, err
	}
	m, err := headerOfMessage(value)
	if err = errors.Join(err, closer.Close()); err != nil {
		return false, err
	}
	for i, r := range m.Envelope.Recipients {
		if i < len(states) && states[i].State == queue.Failed && slices.Contains(failed, r.Address) {
			return true, nil
		}
	}
	return false, nil
}

// contentOfMessage is the content where it is in the value.
func contentOfMessage(value []byte) []byte {
	r := &reader{b: value[prefixLength:]}
	_ = r.submission()
	_, _, _ = r.number(), r.number(), r.number() // size, file, checksum
	return r.b
}
