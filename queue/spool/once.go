package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"sternpost/queue"
)

// A message with an idempotency key is accepted once. The row that remembers the key is written with the message, in one batch: where one of them is on the disk the
// other was. Rows stand by the hour in which their message was received, so those of an hour go with one deletion of a range.

// onceLength is that of the value: version, id, time of acceptance, digest.
const onceLength = 1 + 8 + 8 + 32

// onceKeyLength is the least that a key can have: kind, hour, sender and key with their lengths.
const onceKeyLength = 1 + 4 + 1 + 1

// once is the row of a key.
type once struct {
	sender, key string
	id          queue.ID
	received    uint64
	digest      [32]byte
}

// takeKey takes the key out of a submission, since it is not kept with the message.
func takeKey(s *queue.Submission) once {
	o := once{sender: s.Sender, key: s.Key, received: nanos(s.Received), digest: s.Digest}
	s.Key, s.Digest = "", [32]byte{}
	return o
}

// hourOf counts from 1970.
func hourOf(nanos uint64) uint32 { return uint32(nanos / uint64(time.Hour)) }

func hourPrefix(hour uint32) []byte { return binary.BigEndian.AppendUint32([]byte{kindOnce}, hour) }

// onceKey is where the row stands. The lengths are part of it, so that no key is the beginning of another.
func onceKey(hour uint32, sender, key string) []byte {
	w := &writer{b: append(make([]byte, 0, 64), hourPrefix(hour)...)}
	text(w, sender)
	text(w, key)
	return w.b
}

func (o once) value() []byte {
	b := append(make([]byte, 0, onceLength), version)
	b = binary.BigEndian.AppendUint64(b, uint64(o.id))
	b = binary.BigEndian.AppendUint64(b, o.received)
	return append(b, o.digest[:]...)
}

// put adds the row to b, for the message id; without a key there is none.
func (o once) put(b *pebble.Batch, id queue.ID) error {
	if o.key == "" {
		return nil
	}
	o.id = id
	return b.Set(onceKey(hourOf(o.received), o.sender, o.key), o.value(), nil)
}

// parseOnce reads a row; false: it is none.
func parseOnce(key, value []byte) (once, bool) {
	if len(key) < onceKeyLength || key[0] != kindOnce || len(value) != onceLength || value[0] != version {
		return once{}, false
	}
	r := &reader{b: key[5:]}
	o := once{
		sender: r.text(), key: r.text(),
		id: queue.ID(binary.BigEndian.Uint64(value[1:])), received: binary.BigEndian.Uint64(value[9:]), digest: [32]byte(value[17:]),
	}
	return o, r.end() == nil && hourOf(o.received) == binary.BigEndian.Uint32(key[1:])
}

// keyring is what is known of keys in memory.
type keyring struct {
	sync.Mutex
	busy  map[string]chan struct{} // of commits under way; closed at their end
	hours []uint32                 // that have rows, in order
}

// take keeps other commits with the same key out until the caller gives it back. It waits for its turn, and stops with ctx and with the store.
func (k *keyring) take(ctx context.Context, name string, failed <-chan struct{}) (giveBack func(), err error) {
	for {
		k.Lock()
		other, taken := k.busy[name]
		if !taken {
			own := make(chan struct{})
			if k.busy == nil {
				k.busy = map[string]chan struct{}{}
			}
			k.busy[name] = own
			k.Unlock()
			return func() { k.giveBack(name, own) }, nil
		}
		k.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-failed:
			return nil, queue.ErrStopped
		}
	}
}

func (k *keyring) giveBack(name string, own chan struct{}) {
	k.Lock()
	defer k.Unlock()
	delete(k.busy, name)
	close(own)
}

// note remembers that an hour has rows.
func (k *keyring) note(hour uint32) {
	k.Lock()
	defer k.Unlock()
	if n, known := slices.BinarySearch(k.hours, hour); !known {
		k.hours = slices.Insert(k.hours, n, hour)
	}
}

// from lists the hours from one on, the last one first.
func (k *keyring) from(first uint32) []uint32 {
	k.Lock()
	defer k.Unlock()
	n, _ := slices.BinarySearch(k.hours, first)
	list := slices.Clone(k.hours[n:])
	slices.Reverse(list)
	return list
}

// before says whether an hour before this one has rows.
func (k *keyring) before(hour uint32) bool {
	k.Lock()
	defer k.Unlock()
	return len(k.hours) > 0 && k.hours[0] < hour
}

// forget drops the hours before one.
func (k *keyring) forget(hour uint32) {
	k.Lock()
	defer k.Unlock()
	n, _ := slices.BinarySearch(k.hours, hour)
	k.hours = slices.Delete(k.hours, 0, n)
}

// oldestHour is the first one whose rows may still count at a time.
func oldestHour(now uint64) uint32 {
	return hourOf(now - min(now, uint64(queue.KeyLifetime)))
}

// answered says what was answered to a submission with the same key; nil: nothing. The caller has taken the key, so no commit with it is under way: what is found is on the disk.
// It is another matter once a commit has failed: then what can be read may not be there after the next start.
func (s *Store) answered(m queue.Submission) error {
	select {
	case <-s.failed:
		return queue.ErrStopped
	default:
	}
	key := onceKey(0, m.Sender, m.Key)
	for _, hour := range s.keys.from(oldestHour(nanos(m.Received))) {
		binary.BigEndian.PutUint32(key[1:], hour)
		o, err := s.readOnce(key)
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			continue
		case err != nil:
			return fmt.Errorf("whether the key was used before cannot be read: %w", err)
		case !queue.KeyKnown(moment(o.received), m.Received):
			continue
		case o.digest != m.Digest:
			return queue.ErrOtherContent
		}
		return &queue.RepeatedError{ID: o.id}
	}
	return nil
}

// readOnce reads the row of a key.
func (s *Store) readOnce(key []byte) (once, error) {
	value, closer, err := s.db.Get(key)
	if err != nil {
		return once{}, err
	}
	o, ok := parseOnce(key, value)
	if !ok {
		err = errDamaged
	}
	return o, errors.Join(err, closer.Close())
}

// recallHours finds the hours that have rows.
func (s *Store) recallHours() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindOnce}, UpperBound: []byte{kindOnce + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		if len(it.Key()) < onceKeyLength {
			ok = it.Next()
			continue
		}
		hour := binary.BigEndian.Uint32(it.Key()[1:])
		s.keys.note(hour)
		ok = it.SeekGE(after(hourPrefix(hour)))
	}
	return it.Close()
}

// expireKeys takes away the rows that do not count any more. What a crash undoes is done again.
func (s *Store) expireKeys(now time.Time) error {
	oldest := oldestHour(nanos(now))
	if !s.keys.before(oldest) {
		return nil
	}
	b := s.db.NewBatch()
	if err := b.DeleteRange([]byte{kindOnce}, hourPrefix(oldest), nil); err != nil {
		return errors.Join(err, b.Close())
	}
	if err := s.commit(b, pebble.NoSync); err != nil {
		return err
	}
	s.keys.forget(oldest)
	return nil
}
