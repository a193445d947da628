package spool

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// version is the first octet of each value.
const version = 1

// versionOwing is the first octet of states of which some owe a report: when that is due stands before each.
const versionOwing = 2

// prefixLength is version and checksum of a message.
const prefixLength = 1 + 4

func checksum(sum uint32, b []byte) uint32 {
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b)
}

// stored is a message as it is kept.
type stored struct {
	queue.Submission
	size int64
	// file is the number of the file that holds the content; 0: it follows the header in the same value.
	file uint64
	// sum is the CRC32C of the content, where it is in a file.
	sum uint32
}

// encodeHeader writes what stands before the content.
func encodeHeader(m stored) []byte {
	w := &writer{b: make([]byte, prefixLength, 256)}
	w.submission(m.Submission)
	w.number(uint64(m.size))
	w.number(m.file)
	w.number(uint64(m.sum))
	return w.b
}

// seal fills in version and checksum of a whole value. The checksum covers the id too, so that a value under a wrong key is found out.
func seal(value []byte, id queue.ID) {
	value[0] = version
	binary.LittleEndian.PutUint32(value[1:], sumOf(value, id))
}

func sumOf(value []byte, id queue.ID) uint32 {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], uint64(id))
	return checksum(checksum(0, key[:]), value[prefixLength:])
}

// decodeMessage reads a message and its content, which is part of value; nil where it is in a file.
func decodeMessage(id queue.ID, value []byte) (stored, []byte, error) {
	if len(value) < prefixLength || value[0] != version || binary.LittleEndian.Uint32(value[1:]) != sumOf(value, id) {
		return stored{}, nil, errDamaged
	}
	return decodeBody(value[prefixLength:])
}

// decodeBody reads what the checksum covers.
func decodeBody(body []byte) (stored, []byte, error) {
	r := &reader{b: body}
	m := stored{Submission: r.submission()}
	size := r.number()
	m.size, m.file, m.sum = int64(size), r.number(), uint32(r.number())
	content := r.b
	if r.bad || m.size < 0 || m.file == 0 && size != uint64(len(content)) || m.file != 0 && len(content) > 0 {
		return stored{}, nil, errDamaged
	}
	return m, content, nil
}

func (w *writer) submission(s queue.Submission) {
	w.address(s.Envelope.From.Address)
	w.number(uint64(len(s.Envelope.Recipients)))
	for _, r := range s.Envelope.Recipients {
		w.address(r.Address)
		w.texts(r.Notify)
		text(w, r.OriginalType)
		text(w, r.Original)
	}
	text(w, s.Envelope.EnvelopeID)
	text(w, s.Envelope.Return)
	text(w, s.Sender)
	w.number(uint64(s.Priority))
	w.time(s.Received)
	w.time(s.SendAt)
	w.time(s.Expires)
	text(w, s.MessageID)
	text(w, s.Peer)
	w.number(uint64(s.Origin))
}

func (r *reader) submission() queue.Submission {
	var s queue.Submission
	s.Envelope.From.Address = r.address()
	for range r.count() {
		s.Envelope.Recipients = append(s.Envelope.Recipients, mail.Recipient{
			Address: r.address(), Notify: r.texts(), OriginalType: r.text(), Original: r.text(),
		})
	}
	s.Envelope.EnvelopeID = r.text()
	s.Envelope.Return = r.text()
	s.Sender = r.text()
	s.Priority = queue.Priority(r.number())
	s.Received = r.time()
	s.SendAt = r.time()
	s.Expires = r.time()
	s.MessageID = r.text()
	s.Peer = r.text()
	s.Origin = queue.ID(r.number())
	return s
}

func encodeStates(states []queue.RecipientState) []byte {
	owes := slices.ContainsFunc(states, queue.RecipientState.Owes)
	w := &writer{b: []byte{version}}
	if owes {
		w.b[0] = versionOwing
	}
	w.number(uint64(len(states)))
	for _, s := range states {
		if owes {
			w.time(s.ReportBy)
		}
		w.number(uint64(s.State))
		w.number(uint64(s.Attempts))
		w.time(s.Due)
		w.time(s.Tried)
		w.flag(s.InDoubt)
		w.flag(s.Noticed)
		w.flag(s.Reported)
		w.flag(s.Reached)
		w.outcome(s.Last)
	}
	return w.b
}

func decodeStates(value []byte) ([]queue.RecipientState, error) {
	r := &reader{b: value}
	form := r.octet()
	if form != version && form != versionOwing {
		return nil, errDamaged
	}
	var states []queue.RecipientState
	for range r.count() {
		var by time.Time
		if form == versionOwing {
			by = r.time()
		}
		states = append(states, queue.RecipientState{
			ReportBy: by, State: queue.State(r.number()), Attempts: r.small(), Due: r.time(), Tried: r.time(),
			InDoubt: r.flag(), Noticed: r.flag(), Reported: r.flag(), Reached: r.flag(), Last: r.outcome(),
		})
	}
	return states, r.end()
}

func (w *writer) outcome(o mail.Outcome) {
	text(w, o.Disposition)
	w.flag(o.InDoubt)
	text(w, o.Scope)
	text(w, o.Stage)
	w.reply(o.Reply)
	w.status(o.Status)
	text(w, o.Host)
	w.ip(o.IP)
	text(w, o.Reason)
}

func (r *reader) outcome() mail.Outcome {
	return mail.Outcome{
		Disposition: mail.Disposition(r.text()), InDoubt: r.flag(), Scope: mail.Scope(r.text()), Stage: mail.Stage(r.text()),
		Reply: r.reply(), Status: r.status(), Host: r.text(), IP: r.ip(), Reason: r.text(),
	}
}

// encodeEntry writes all but the cursor, which is in the key.
func encodeEntry(e journal.Entry) []byte {
	w := &writer{b: append(make([]byte, 0, 256), version)}
	text(w, e.Kind)
	text(w, e.Message)
	text(w, e.Sender)
	text(w, e.Recipient)
	text(w, e.Domain)
	text(w, e.MessageID)
	text(w, e.Host)
	w.number(uint64(e.Code))
	w.status(e.Status)
	text(w, e.Stage)
	text(w, e.Scope)
	w.flag(e.InDoubt)
	w.texts(e.Reply)
	text(w, e.Reason)
	text(w, e.AttemptID)
	w.flag(e.Attempt != nil)
	if e.Attempt != nil {
		w.attempt(e.Attempt)
	}
	return w.b
}

// decodeEntry reads an entry; brief: without the tree, which stands at its end and is not looked at then.
func decodeEntry(value []byte, brief bool) (journal.Entry, error) {
	r := &reader{b: value}
	if r.octet() != version {
		return journal.Entry{}, errDamaged
	}
	e := journal.Entry{
		Kind: journal.Kind(r.text()), Message: r.text(), Sender: r.text(), Recipient: r.text(), Domain: mail.Domain(r.text()),
		MessageID: r.text(), Host: r.text(), Code: r.small(), Status: r.status(), Stage: mail.Stage(r.text()), Scope: mail.Scope(r.text()),
		InDoubt: r.flag(), Reply: r.texts(), Reason: r.text(), AttemptID: r.text(),
	}
	whole := r.flag()
	if whole && brief { // of a spoilt value nothing is left, and no flag is set
		return e, nil
	}
	if whole {
		e.Attempt = r.attempt()
	}
	return e, r.end()
}
