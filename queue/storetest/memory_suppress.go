package storetest

import (
	"context"
	"iter"
	"maps"
	"slices"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// Suppression finds what is known of an address.
func (m *Memory) Suppression(ctx context.Context, a mail.Address) (queue.Suppression, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, known := m.addresses[a.String()]
	return s, known, m.usable(ctx)
}

// Suppressions yields all behind an address.
func (m *Memory) Suppressions(ctx context.Context, behind mail.Address) iter.Seq2[queue.Suppression, error] {
	return func(yield func(queue.Suppression, error) bool) {
		m.mu.Lock()
		known, err := maps.Clone(m.addresses), m.usable(ctx)
		m.mu.Unlock()
		if err != nil {
			yield(queue.Suppression{}, err)
			return
		}
		for _, text := range slices.Sorted(maps.Keys(known)) {
			if (behind.IsZero() || text > behind.String()) && !yield(known[text], nil) {
				return
			}
		}
	}
}

// Suppress puts each in the place of what was known.
func (m *Memory) Suppress(ctx context.Context, list []queue.Suppression) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.writable(ctx); err != nil || len(list) == 0 {
		return err
	}
	if err := m.commit(); err != nil {
		return err
	}
	var entries []journal.Entry
	for _, s := range list {
		m.addresses[s.Address.String()] = s
		entries = append(entries, s.Entry())
	}
	m.write(entries)
	return nil
}

// Unsuppress forgets addresses.
func (m *Memory) Unsuppress(ctx context.Context, list []mail.Address) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.writable(ctx); err != nil || len(list) == 0 {
		return 0, err
	}
	if err := m.commit(); err != nil {
		return 0, err
	}
	before := len(m.addresses)
	for _, a := range list {
		delete(m.addresses, a.String())
	}
	return before - len(m.addresses), nil
}

// suppress adds failures to what is known, and returns what the journal says of them.
func (m *Memory) suppress(list []queue.Suppression) []journal.Entry {
	var entries []journal.Entry
	for _, one := range list {
		before, known := m.addresses[one.Address.String()]
		next := one
		if known {
			next = one.After(before, one.Last)
		}
		if next.Holds(one.Last) && (!known || !before.Holds(one.Last)) {
			entries = append(entries, next.Entry())
		}
		m.addresses[one.Address.String()] = next
	}
	return entries
}

// Bookmark finds where a reader of the journal stands.
func (m *Memory) Bookmark(ctx context.Context, reader string) (journal.Cursor, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.bookmarks[reader]
	return at, known, m.usable(ctx)
}

// SetBookmark moves a reader.
func (m *Memory) SetBookmark(ctx context.Context, reader string, at journal.Cursor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.writable(ctx); err != nil {
		return err
	}
	if err := m.commit(); err != nil {
		return err
	}
	m.bookmarks[reader] = at
	return nil
}
