package submission

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// rememberedFor is how long a password that was right is known without its hash being computed again: an application that logs in for each message would
	// spend more on that than on the mail.
	rememberedFor = 5 * time.Minute
	// hashWait is how long an attempt waits for its turn to compute a hash.
	hashWait = 20 * time.Second
)

// errBusy is when no turn came.
var errBusy = errors.New("too many clients log in at the moment")

// accounts knows the users and their passwords. Safe for concurrent use; set may be called at any time.
type accounts struct {
	users  atomic.Pointer[map[string]passwordHash]
	nobody atomic.Pointer[passwordHash] // is computed for a name that is not there, so that the time does not tell which are
	turns  chan struct{}                // who computes a hash has one: hashes are large and slow on purpose
	secret [32]byte                     // of the marks

	mu    sync.Mutex
	known map[string]remembered // by name; no more than there are users
}

// remembered is a password that was right, not as itself.
type remembered struct {
	mark  [32]byte
	until time.Time
}

func newAccounts() *accounts {
	a := &accounts{turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), known: map[string]remembered{}}
	rand.Read(a.secret[:]) // crypto/rand.Read never fails
	return a
}

// set puts users in the place of those that were. They have been checked.
func (a *accounts) set(users []User) {
	hashes := make(map[string]passwordHash, len(users))
	nobody := passwordHash{memory: leastMemory, passes: 1, threads: 1, salt: make([]byte, leastSalt), key: make([]byte, leastKey)}
	for _, u := range users {
		hash, err := parseHash(u.Password)
		if err != nil {
			continue // not reached: LoadUsers has read it
		}
		hashes[u.Name] = hash
		if hash.memory*hash.passes > nobody.memory*nobody.passes {
			nobody.memory, nobody.passes, nobody.threads = hash.memory, hash.passes, hash.threads
		}
	}
	a.users.Store(&hashes)
	a.nobody.Store(&nobody)
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.known)
}

// any says whether there are users at all.
func (a *accounts) any() bool { return len(*a.users.Load()) > 0 }

// exists says whether there is a user of this name.
func (a *accounts) exists(name string) bool {
	_, ok := (*a.users.Load())[name]
	return ok
}

// recall says whether the password was right some minutes ago, which costs nothing.
func (a *accounts) recall(name, password string) bool {
	mark := a.mark(name, password)
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.known[name]
	return ok && time.Now().Before(r.until) && hmac.Equal(r.mark[:], mark[:])
}

// check computes the hash. A name that is not there takes as long as one that is. The error is errBusy or that of ctx.
func (a *accounts) check(ctx context.Context, name, password string) (bool, error) {
	hash, ok := (*a.users.Load())[name]
	if !ok {
		hash = *a.nobody.Load()
	}
	wait := time.NewTimer(hashWait)
	defer wait.Stop()
	select {
	case a.turns <- struct{}{}:
	case <-wait.C:
		return false, errBusy
	case <-ctx.Done():
		return false, ctx.Err()
	}
	right := hash.matches(password)
	<-a.turns
	if !right || !ok {
		return false, nil
	}
	a.remember(name, password)
	return true, nil
}

func (a *accounts) remember(name, password string) {
	mark := a.mark(name, password)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.exists(name) { // else it was taken away meanwhile
		a.known[name] = remembered{mark, time.Now().Add(rememberedFor)}
	}
}

// mark is what is kept of a password.
func (a *accounts) mark(name, password string) [32]byte {
	h := hmac.New(sha256.New, a.secret[:])
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write([]byte(password))
	return [32]byte(h.Sum(nil))
}
