//go:build crash

package crash

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// letter is one message of ours. All of it follows from its name, so that what arrives can be compared.
type letter struct {
	name    string
	domains []string // one recipient in each
	size    int      // of the body in octets, about
	keyed   bool     // its name is also its idempotency key
}

// sender is the reverse-path. It tells letters apart at the other end.
func (l letter) sender() string { return l.name + "@sender.test" }

// copies names what arrives somewhere because of the letter: one copy for each destination.
func (l letter) copies() []string {
	var list []string
	for _, d := range l.domains {
		list = append(list, l.name+" "+d)
	}
	return list
}

// body is made of lines that need no dot-stuffing and cannot be compressed away.
func (l letter) body() []byte {
	h := fnv.New64a()
	h.Write([]byte(l.name))
	random := rand.New(rand.NewPCG(h.Sum64(), 1))
	var b bytes.Buffer
	for b.Len() < l.size {
		fmt.Fprintf(&b, "%016x%016x%016x%016x\r\n", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64())
	}
	return b.Bytes()
}

// message is the whole message.
func (l letter) message() []byte {
	head := fmt.Sprintf("From: <%s>\r\nTo: undisclosed-recipients:;\r\nSubject: %s\r\nMessage-ID: <%s>\r\n", l.sender(), l.name, l.sender())
	if l.keyed {
		head += "Idempotency-Key: " + l.name + "\r\n"
	}
	return append([]byte(head+"\r\n"), l.body()...)
}

// content is the message with the dot that ends it.
func (l letter) content() []byte { return append(l.message(), ".\r\n"...) }

// bodyOf is what stands behind the header of a message that arrived.
func bodyOf(content []byte) []byte {
	_, body, _ := bytes.Cut(content, []byte("\r\n\r\n"))
	return body
}

// fate is what the agent answered to a letter.
type fate int

const (
	refused  fate = iota // it said no, or the conversation ended before the dot: it must not arrive
	inDoubt              // the dot was sent and no answer came: it may arrive
	accepted             // 250: it must arrive
	unsynced             // 451 to the dot: it may arrive if that was because the sync failed, since then nobody knows what the disk holds
)

// ledger is written outside of the agent. It may be used by any number of goroutines.
type ledger struct {
	mu      sync.Mutex
	letters map[string]letter
	fates   map[string]fate
	refusal map[string]int             // how often each code was the answer
	ids     map[string]map[string]bool // of the letters with keys: all that the agent gave them
	// syncFails says that the disk fails in this test. It is set before the book is used.
	syncFails bool
}

func newLedger() *ledger {
	return &ledger{letters: map[string]letter{}, fates: map[string]fate{}, refusal: map[string]int{}, ids: map[string]map[string]bool{}}
}

func (b *ledger) note(l letter, f fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters[l.name], b.fates[l.name] = l, f
}

// given notes the id that the agent gave a letter with a key. Empty: it did not say.
func (b *ledger) given(l letter, id string) {
	if !l.keyed || id == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ids[l.name] == nil {
		b.ids[l.name] = map[string]bool{}
	}
	b.ids[l.name][id] = true
}

// keyed are some of the letters that have a key, of those that were accepted or may have been.
func (b *ledger) keyed(most int) []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []letter
	for _, f := range []fate{inDoubt, accepted} {
		for _, name := range slices.Sorted(maps.Keys(b.letters)) {
			if len(list) < most && b.letters[name].keyed && b.fates[name] == f {
				list = append(list, b.letters[name])
			}
		}
	}
	return list
}

func (b *ledger) refusedWith(reply string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refusal[strings.TrimSpace(reply[:min(3, len(reply))])]++
}

// refusals is how often a code was the answer.
func (b *ledger) refusals(code string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal[code]
}

// count is how many letters had a fate.
func (b *ledger) count(f fate) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, have := range b.fates {
		if have == f {
			n++
		}
	}
	return n
}

// owed lists the copies that must arrive.
func (b *ledger) owed() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for name, f := range b.fates {
		if f == accepted {
			list = append(list, b.letters[name].copies()...)
		}
	}
	return list
}

// find returns the letter of a sender's address.
func (b *ledger) find(sender string) (letter, fate, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name, _, _ := strings.Cut(sender, "@")
	l, known := b.letters[name]
	return l, b.fates[name], known
}
