package spool

import (
	"strconv"

	"sternpost/queue"
)

// The index must fit the messages: a row without a message is in the way, and a message without a row waits for ever.

func (v *verification) hint(key, _ []byte) error {
	if len(key) < 9 {
		v.add(0, "a hint is damaged")
		return nil
	}
	at, name := parseHint(key)
	if first, known := v.first[name]; !known || at < first {
		v.first[name] = at
	}
	return nil
}

func (v *verification) row(key, value []byte) error {
	r, ok := parseRow(key, value)
	if !ok {
		v.add(0, "a waiting row is damaged")
		return nil
	}
	if r.destination != v.rows.name {
		if err := v.led(); err != nil {
			return err
		}
		v.rows = destinationRows{name: r.destination, first: never}
	}
	err := v.owner(r.id, "waits for %s, but there is no such message", r.destination)
	if err != nil || r.priority == heldRow {
		return err
	}
	v.rows.first = min(v.rows.first, r.due)
	if r.deadline == 0 {
		return nil
	}
	return v.want(r.deadlineKey(), r.id, "its deadline for %s is missing", r.destination)
}

// led says whether a hint leads to the destination whose rows have been read: none may come later than what is due.
func (v *verification) led() error {
	if v.rows.name == "" || v.rows.first == never {
		return nil
	}
	until, err := v.s.suspended(v.rows.name)
	if err != nil {
		return err
	}
	if at, known := v.first[v.rows.name]; !known || at > max(v.rows.first, until) {
		v.add(0, "no hint leads to what waits for %s", v.rows.name)
	}
	return nil
}

func (v *verification) deadline(key, value []byte) error {
	r, ok := parseDeadline(key, value)
	if !ok {
		v.add(0, "a deadline is damaged")
		return nil
	}
	return v.want(r.key(), r.id, "has a deadline, but does not wait for %s", r.destination)
}

func (v *verification) report(key, _ []byte) error {
	due, id, ok := parseReport(key)
	if !ok {
		v.add(0, "the index of owed reports is damaged")
		return nil
	}
	_, states, _, err := v.s.get(id)
	if corrupt(err) {
		return err
	}
	if err != nil || nanos(queue.ReportDue(states)) != due {
		v.add(id, "is said to owe a report, and does not")
	}
	return nil
}

func (v *verification) file(key, value []byte) error {
	if len(key) != fileKeyLength || len(value) != 8 {
		v.add(0, "the owner of a content file is damaged")
		return nil
	}
	id := queue.ID(messageID(append([]byte{kindMessage}, value...)))
	return v.owner(id, "owns the content file %x, but there is no such message", fileNumber(key))
}

// contents looks for files that nobody owns.
func (v *verification) contents() error {
	names, err := v.s.fs.List(contentDirectory(v.s.fs, v.s.config.Directory))
	if err != nil && !isMissing(err) {
		return err
	}
	for _, name := range names {
		number, err := strconv.ParseUint(name, 16, 64)
		if err != nil {
			continue
		}
		if err := v.want(fileKey(number), 0, "the content file %s belongs to no message; the next start removes it", name); err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) entry(key, value []byte) error {
	if len(key) == volumeLength+1+cursorLength && key[volumeLength] == fieldEntry {
		if _, err := decodeEntry(value, false); err != nil {
			v.add(0, "an entry of the journal: %v", err)
		}
	}
	return nil
}

// key looks at the row of an idempotency key, whose message may have left the queue long ago.
func (v *verification) key(key, value []byte) error {
	if _, ok := parseOnce(key, value); !ok {
		v.add(0, "an idempotency key is damaged")
	}
	return nil
}

func (v *verification) suppression(key, value []byte) error {
	if _, ok := parseSuppression(key, value); !ok {
		v.add(0, "an address of the suppression list is damaged")
	}
	return nil
}

func (v *verification) bookmark(key, value []byte) error {
	if _, ok := parseBookmark(value); !ok || len(key) < 2 {
		v.add(0, "how far a reader of the journal has come is damaged")
	}
	return nil
}
