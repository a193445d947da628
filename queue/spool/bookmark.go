package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/queue"
)

// A bookmark is the place in the journal that a reader of it has come to, under the reader's name.

const bookmarkLength = 1 + cursorLength

func bookmarkKey(reader string) []byte { return append([]byte{kindBookmark}, reader...) }

// parseBookmark reads the value of a row; false: it is none.
func parseBookmark(value []byte) (journal.Cursor, bool) {
	if len(value) != bookmarkLength || value[0] != version {
		return journal.Cursor{}, false
	}
	return journal.Cursor{Time: moment(binary.BigEndian.Uint64(value[1:])), Seq: binary.BigEndian.Uint32(value[9:])}, true
}

// Bookmark implements queue.Store.
func (s *Store) Bookmark(ctx context.Context, reader string) (journal.Cursor, bool, error) {
	if err := s.enter(); err != nil {
		return journal.Cursor{}, false, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return journal.Cursor{}, false, err
	}
	value, closer, err := s.db.Get(bookmarkKey(reader))
	if errors.Is(err, pebble.ErrNotFound) {
		return journal.Cursor{}, false, nil
	}
	if err != nil {
		return journal.Cursor{}, false, fmt.Errorf("the bookmark of %q cannot be read: %w", reader, err)
	}
	at, ok := parseBookmark(value)
	return at, ok, closer.Close()
}

// SetBookmark implements queue.Store.
func (s *Store) SetBookmark(ctx context.Context, reader string, at journal.Cursor) error {
	if err := s.enterToWrite(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	b := s.db.NewBatch()
	value := append([]byte{version}, cursor(nanos(at.Time), at.Seq)...)
	if err := b.Set(bookmarkKey(reader), value, nil); err != nil {
		return errors.Join(err, b.Close())
	}
	return s.commit(b, pebble.Sync)
}

var _ queue.Bookmarks = (*Store)(nil)
