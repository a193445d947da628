package spool

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/journal"
	"sternpost/queue"
)

// page of a book: what is known of one message, by its token.
type bookPage struct {
	accepted bool // Commit or Settle has said so
	gone     bool // Settle or Change has said so
	removing int  // calls under way that may take it out
	owes     bool // Settle has said that its failure waits for the report
	attempts int  // of its last deferral that was recorded
	sum      uint32
	// report is the token of the report that the end of this message owes.
	report string
	keyed  queue.Submission // with what it was handed in, where it has a key
	id     queue.ID         // that was answered to it
}

// book is what a client and a remote host know outside of the disk.
type book struct {
	mu    sync.Mutex
	pages map[string]bookPage
}

// turn changes one page.
func (b *book) turn(token string, change func(*bookPage)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[token]
	change(&p)
	b.pages[token] = p
}

func (b *book) copy() map[string]bookPage {
	b.mu.Lock()
	defer b.mu.Unlock()
	pages := make(map[string]bookPage, len(b.pages))
	for token, p := range b.pages {
		pages[token] = p
	}
	return pages
}

// wreck is a disk as a power cut left it, and what was known then.
type wreck struct {
	fs    *vfs.MemFS
	pages map[string]bookPage
	where string
	// torn is set where some of what was not synced was kept without what stood before it. That cannot be told from damage, so the store may be rebuilt.
	torn bool
}

// take clones the disk, which is held still. The book is copied first: what it says was so before.
func take(d *crashDisk, b *book, percent int, random *rand.Rand, where string) wreck {
	pages := b.copy()
	return wreck{
		fs: d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: random}), pages: pages, where: where,
		torn: percent == 50,
	}
}

// examine opens the store that a crash left and says all that is wrong. Where the store was rebuilt, the log may tell of it; the promises hold all the same.
func (w wreck) examine(ctx context.Context) (wrong []string, rebuilt bool) {
	complain := func(format string, arguments ...any) {
		wrong = append(wrong, w.where+": "+fmt.Sprintf(format, arguments...))
	}
	core, logs := observer.New(zap.WarnLevel)
	c := DefaultConfig()
	c.Directory = "/spool"
	s, err := Open(c, w.fs, zap.New(core))
	if err != nil {
		complain("it does not open: %v", err)
		return wrong, false
	}
	rebuilt = logs.FilterMessage("the queue is rebuilt").Len() > 0
	found := w.compare(ctx, s, complain)
	if !rebuilt {
		w.compareReports(found, complain)
	}
	w.lease(ctx, s, found, complain)
	w.owed(ctx, s, found, complain)
	w.handAgain(ctx, s, found, rebuilt, complain)
	for _, err := range s.Journal().Find(ctx, journal.Query{}) {
		if err != nil {
			complain("the journal: %v", err)
		}
	}
	for _, line := range logs.All() {
		if whole := line.Message != "what was written last did not become whole"; whole && !rebuilt {
			complain("the log says %q %v", line.Message, line.ContextMap())
		}
	}
	if err := s.Close(); err != nil {
		complain("Close: %v", err)
	}
	if problems, err := Verify("/spool", w.fs); err != nil || len(problems) > 0 {
		complain("Verify: %v %s", err, problems)
	}
	return wrong, rebuilt
}

// compare compares the messages with the book.
func (w wreck) compare(ctx context.Context, s *Store, complain func(string, ...any)) map[string]queue.Message {
	found := map[string]queue.Message{}
	for m, err := range s.Messages(ctx, queue.Query{}) {
		if err != nil {
			complain("Messages: %v", err)
			break
		}
		p, known := w.pages[m.MessageID]
		switch _, twice := found[m.MessageID]; {
		case twice:
			complain("%s is there twice", m.MessageID)
		case !known:
			complain("%s was never handed in", m.MessageID)
		case p.gone:
			complain("%s comes back", m.MessageID)
		}
		found[m.MessageID] = m
		if got := m.Recipients[0].Attempts; got < p.attempts {
			complain("%s has %d attempts, %d were recorded", m.MessageID, got, p.attempts)
		}
		if err := sameContent(ctx, s, m.ID, p.sum); err != nil {
			complain("%s: %v", m.MessageID, err)
		}
	}
	for token, p := range w.pages {
		if _, there := found[token]; p.accepted && !p.gone && p.removing == 0 && !there {
			complain("%s is lost", token)
		}
	}
	return found
}

// compareReports: the report is there exactly if its message is gone. A rebuilt store may have both, where the end of the message was not synced.
func (w wreck) compareReports(found map[string]queue.Message, complain func(string, ...any)) {
	for token, p := range w.pages {
		if p.report == "" || !p.accepted {
			continue
		}
		_, there := found[token]
		_, reported := found[p.report]
		r := w.pages[p.report]
		if there && reported {
			complain("%s is there, and so is its report", token)
		}
		if !there && !reported && !r.gone && r.removing == 0 {
			complain("%s is gone without its report", token)
		}
	}
}

// owed: each message that owes a report is found, once, and is not tried again.
func (w wreck) owed(ctx context.Context, s *Store, found map[string]queue.Message, complain func(string, ...any)) {
	work, _, err := s.Reports(ctx, at(0), 10_000)
	if err != nil {
		complain("Reports: %v", err)
	}
	given := map[string]bool{}
	for _, o := range work {
		if given[o.MessageID] || !found[o.MessageID].Recipients[0].Owes() {
			complain("a report about %s is given, and not owed or given before", o.MessageID)
		}
		given[o.MessageID] = true
	}
	for token, m := range found {
		if m.Recipients[0].Owes() && !given[token] {
			complain("nothing leads to the report that %s owes", token)
		}
		if w.pages[token].owes && !m.Recipients[0].Owes() {
			complain("%s has forgotten that it owes a report", token)
		}
	}
}

// handAgain hands all in again that have a key: who was answered hears the same again, whatever became of the message; to the others it is new, or is there. A rebuilding may
// find a message of which nobody was told, and not its key.
func (w wreck) handAgain(ctx context.Context, s *Store, found map[string]queue.Message, rebuilt bool, complain func(string, ...any)) {
	for token, p := range w.pages {
		if p.keyed.Key == "" || !queue.KeyKnown(p.keyed.Received, at(0)) {
			continue
		}
		want := p.id
		if m, there := found[token]; there && !p.accepted {
			want = m.ID
		}
		d, err := s.Begin(ctx)
		if err == nil {
			_, err = d.Commit(ctx, p.keyed, nil)
		}
		switch got := repeats(err); {
		case rebuilt && !p.accepted:
		case got != want:
			complain("%s is accepted with its key as %v, wanted %v: %v", token, got, want, err)
		case want == 0 && err != nil:
			complain("%s is not accepted, and its key is new: %v", token, err)
		}
	}
}

func sameContent(ctx context.Context, s *Store, id queue.ID, sum uint32) error {
	c, err := s.Content(ctx, id)
	if err != nil {
		return err
	}
	reading, err := c.Open()
	if err != nil {
		return err
	}
	hash := crc32.NewIEEE()
	_, err = io.Copy(hash, reading)
	if err := errors.Join(err, reading.Close()); err != nil {
		return err
	}
	if hash.Sum32() != sum {
		return errors.New("its content is another")
	}
	return nil
}

// lease: each message that waits is found by the index, and nothing else is.
func (w wreck) lease(ctx context.Context, s *Store, found map[string]queue.Message, complain func(string, ...any)) {
	work, err := s.Lease(ctx, queue.Want{Now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), Most: 10_000})
	if err != nil {
		complain("Lease: %v", err)
	}
	leased := map[string]bool{}
	for _, o := range work {
		if _, known := found[o.MessageID]; !known || leased[o.MessageID] {
			complain("%s is leased, and again", o.MessageID)
		}
		leased[o.MessageID] = true
	}
	var missing []string
	for token, m := range found {
		if m.Recipients[0].State == queue.Pending && !leased[token] {
			missing = append(missing, token)
		}
	}
	if len(missing) > 0 {
		complain("not found by the index: %s", strings.Join(missing, " "))
	}
}
