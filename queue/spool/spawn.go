package spool

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// spawn adds a report to b. Its rows are leased, to nobody, until it is durable.
func (s *Store) spawn(b *pebble.Batch, report queue.Spawned) (rows []row, accepted journal.Entry, err error) {
	if len(report.Envelope.Recipients) == 0 {
		return nil, accepted, errNoRecipients
	}
	m := stored{Submission: report.Submission, size: int64(len(report.Content))}
	content := report.Content
	if len(content) > largestInline {
		file, err := s.createContent()
		if err != nil {
			return nil, accepted, full(err)
		}
		_, err = file.Write(content)
		if err == nil {
			err = file.finish()
		}
		if err != nil {
			file.discard()
			return nil, accepted, full(err)
		}
		m.file, m.sum, content = file.number, file.sum, nil
	}
	s.mu.Lock()
	id := s.nextID(m)
	rows = firstRows(id, m.Submission)
	s.register(id, m, rows)
	s.mu.Unlock()
	accepted = journal.Entry{
		Kind: journal.Accepted, Message: id.String(), Sender: m.Envelope.From.String(), MessageID: m.MessageID,
		Reason: journal.ReportsAbout + m.Origin.String(),
	}
	return rows, accepted, errors.Join(putReserved(b, id+reservedAhead), s.putMessage(b, id, m, content), s.putRows(b, rows))
}

// reportsAbout is the message that an accepted one reports about; false: it is no report.
func reportsAbout(e journal.Entry) (queue.ID, bool) {
	text, is := strings.CutPrefix(e.Reason, journal.ReportsAbout)
	id, err := queue.ParseID(text)
	return id, is && err == nil && e.Sender == mail.ReversePath{}.String()
}

// spawnFor adds the reports that are accepted with a message, once it has its id.
func (s *Store) spawnFor(b *pebble.Batch, id queue.ID, reports func(queue.ID) []queue.Spawned) (rows []row, entries []journal.Entry, err error) {
	if reports == nil {
		return nil, nil, nil
	}
	for _, report := range reports(id) {
		more, accepted, err := s.spawn(b, report)
		rows, entries = append(rows, more...), append(entries, accepted)
		if err != nil {
			return rows, nil, err
		}
	}
	return rows, entries, nil
}
