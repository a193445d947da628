package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// propertyTests drive a store and a Memory with the same random operations and compare what can be seen. Where a store has a choice (which of several
// due messages a short Lease gives), its choice is checked and the Memory follows it. A Reopen joins the operations unless it is nil.
func propertyTests(reopen Reopen) map[string]func(*trial) {
	const seeds, steps = 4, 120
	tests := map[string]func(*trial){}
	for seed := range uint64(seeds) {
		tests[fmt.Sprintf("seed %d", seed)] = func(r *trial) {
			w := &twin{
				trial: r, model: NewMemory(), random: rand.New(rand.NewPCG(seed, 1)), now: start(), reopen: reopen,
				ids: map[queue.ID]queue.ID{}, own: map[queue.ID]queue.ID{},
			}
			for step := 0; step < steps && !r.Failed(); step++ {
				w.Logf("step %d: %s", step, w.step())
				w.compare()
			}
			w.drain()
		}
	}
	return tests
}

// twin is a store and the model that it is compared with. Messages have different ids in the two.
type twin struct {
	*trial
	model  *Memory
	random *rand.Rand
	now    time.Time
	reopen Reopen
	ids    map[queue.ID]queue.ID // of the model, by that of the store
	own    map[queue.ID]queue.ID // of the store, by that of the model
	held   []pair                // leases
}

// pair is the same work in both.
type pair struct{ model, store queue.Owed }

// step does one random thing and says what.
func (w *twin) step() string {
	operations := []func() string{
		w.accepts, w.accepts, w.leases, w.leases, w.leases, w.settles, w.settles, w.settles, w.returns, w.passes, w.passes, w.suspends, w.leasesOverdue,
		w.leasesReports, w.changes,
	}
	if w.reopen != nil {
		operations = append(operations, w.reopens)
	}
	return operations[w.random.IntN(len(operations))]()
}

func (w *twin) name() string { return string(rune('a' + w.random.IntN(3))) }

func (w *twin) domain() mail.Domain { return mail.Domain(w.name() + ".example") }

func (w *twin) minutes(most int) time.Time {
	return w.now.Add(time.Duration(1+w.random.IntN(most)) * time.Minute)
}

func (w *twin) one(in int) bool { return w.random.IntN(in) == 0 }

func (w *twin) accepts() string { return w.hands(w.one(2)) }

func (w *twin) hands(keyed bool) string {
	var recipients []string
	for i := range 1 + w.random.IntN(4) {
		recipients = append(recipients, fmt.Sprintf("%d@%s", i, w.domain()))
	}
	s := letter(w.name()+"@from.example", recipients...)
	s.Priority, s.Received, s.Expires = queue.Priority(w.random.IntN(3)), w.now, w.minutes(2000)
	if w.one(4) {
		s.SendAt = w.minutes(100)
	}
	if keyed {
		s.Key, s.Digest = w.name(), [32]byte{byte(w.random.IntN(2))}
	}
	model, refused := (&trial{T: w.T, store: w.model}).hand(w.Context(), s, 10)
	store, err := w.hand(w.Context(), s, 10)
	if refused != nil || err != nil {
		w.sameAnswer(refused, err)
		return fmt.Sprintf("accept with the key %q: %v", s.Key, err)
	}
	w.know(model[0].ID, store[0].ID)
	w.keep(model, store)
	return fmt.Sprintf("accept %v %v", store[0].ID, recipients)
}

// sameAnswer compares the answers to a message whose key was used.
func (w *twin) sameAnswer(model, store error) {
	w.Helper()
	var want, got *queue.RepeatedError
	switch {
	case errors.As(model, &want) && errors.As(store, &got) && w.ids[got.ID] == want.ID:
	case errors.Is(model, queue.ErrOtherContent) && errors.Is(store, queue.ErrOtherContent):
	default:
		w.Fatalf("Commit: %v, want %v", store, model)
	}
}

func (w *twin) know(model, store queue.ID) { w.ids[store], w.own[model] = model, store }

// keep compares two lists of the same work, in any order, and keeps the leases.
func (w *twin) keep(model, store []queue.Owed) {
	w.Helper()
	expect(w.trial, "leases", len(store), len(model))
	for _, o := range store {
		i := slices.IndexFunc(model, func(p queue.Owed) bool { return p.ID == w.ids[o.ID] && p.Destination == o.Destination })
		if i < 0 {
			w.Fatalf("%v for %s should not be leased: %+v", o.ID, o.Destination, o)
		}
		expect(w.trial, "Owed", w.work(o), w.work(model[i]))
		w.held = append(w.held, pair{model[i], o})
	}
}

// work is o without its id.
func (w *twin) work(o queue.Owed) string {
	o.ID = 0
	return fmt.Sprint(text(o.Message), o.Destination, o.Indices, o.Due.UTC(), o.Content.Size())
}

func (w *twin) leases() string {
	want := queue.Want{Now: w.now, Most: 1 + w.random.IntN(12), PerDestination: 1 + w.random.IntN(5)}
	if w.one(3) {
		passed := w.domain()
		room := w.random.IntN(3)
		want.Room = func(d mail.Domain) int {
			if d == passed {
				return room
			}
			return want.Most
		}
	}
	lists := w.model.eligible(want)
	store := w.want(want)
	w.checkChoice(want, lists, store)
	var chosen []queue.Owed
	for _, o := range slices.Concat(lists...) {
		o.Indices = w.model.ripe(o, w.now)
		if slices.ContainsFunc(store, func(p queue.Owed) bool { return o.ID == w.ids[p.ID] && o.Destination == p.Destination }) {
			w.model.lease(o)
			chosen = append(chosen, o)
		}
	}
	w.keep(chosen, store)
	return fmt.Sprintf("lease %d of %v", len(store), want)
}

// checkChoice says whether the store may give this work of those lists. Which of the destinations that are due a short Lease leaves out is not compared.
func (w *twin) checkChoice(want queue.Want, lists [][]queue.Owed, store []queue.Owed) {
	total := 0
	for _, list := range lists {
		d := list[0].Destination
		most := min(want.Of(d), len(list))
		given := slices.DeleteFunc(slices.Clone(store), func(o queue.Owed) bool { return o.Destination != d })
		expect(w.trial, fmt.Sprintf("%d of %s are within the limit of %d", len(given), d, most), len(given) <= most, true)
		w.checkPriorities(given, list)
		total += most
	}
	expect(w.trial, "leased", len(store), min(want.Most, total))
}

// checkPriorities: what was given is not behind what was left.
func (w *twin) checkPriorities(given, list []queue.Owed) {
	var due, got []queue.Priority
	for _, o := range list {
		due = append(due, o.Priority)
	}
	for _, o := range given {
		got = append(got, o.Priority)
	}
	slices.Sort(due)
	expect(w.trial, "priorities", fmt.Sprint(got), fmt.Sprint(due[:min(len(got), len(due))]))
}

func (w *twin) leasesOverdue() string {
	model, err := w.model.Overdue(w.Context(), w.now, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	w.keep(model, w.overdue(w.now))
	return fmt.Sprintf("overdue %d", len(model))
}

func (w *twin) leasesReports() string {
	model, _, err := w.model.Reports(w.Context(), w.now, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	store, _, err := w.store.Reports(w.Context(), w.now, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	for i := range model {
		model[i].Due = time.Time{} // it is theirs to say
	}
	for i := range store {
		store[i].Due = time.Time{}
	}
	w.keep(model, store)
	return fmt.Sprintf("reports %d", len(model))
}

// some takes at most three leases out of w.held.
func (w *twin) some() []pair {
	w.random.Shuffle(len(w.held), func(i, j int) { w.held[i], w.held[j] = w.held[j], w.held[i] })
	n := min(len(w.held), 1+w.random.IntN(3))
	some := slices.Clone(w.held[:n])
	w.held = w.held[n:]
	return some
}

func (w *twin) returns() string {
	some := w.some()
	for _, p := range some {
		w.model.Return([]queue.Owed{p.model})
		w.store.Return([]queue.Owed{p.store})
	}
	return fmt.Sprintf("return %d", len(some))
}

func (w *twin) settles() string {
	var model, store []queue.Settlement
	told := ""
	for _, p := range w.some() {
		s := w.verdict(p.model)
		model = append(model, s)
		s.ID = p.store.ID
		s.Entries = slices.Clone(s.Entries)
		for i := range s.Entries {
			s.Entries[i].Message = s.ID.String()
		}
		store = append(store, s)
		told += fmt.Sprintf(" %v %s %v", s.ID, s.Destination, s.States)
	}
	if err := w.model.Settle(w.Context(), model); err != nil {
		w.Fatalf("the model: %v", err)
	}
	w.settle(store...)
	return "settle" + told
}

// verdict is a random settlement of o. Recipients that go on have one due time, and only a message of one destination a deadline of its own: that leaves
// no choice.
func (w *twin) verdict(o queue.Owed) queue.Settlement {
	if o.Destination == queue.ReportWork {
		s := told(o)
		spawned := report(1)
		spawned.Received, spawned.Expires = w.now, w.minutes(2000)
		s.Reports = []queue.Spawned{spawned}
		return s
	}
	s := queue.Settlement{ID: o.ID, Destination: o.Destination, States: map[int]queue.RecipientState{}}
	again := deferred(w.minutes(200), "reason "+w.name())
	if single := len(o.Indices) == len(o.Recipients); single && w.one(2) {
		s.Deadline = w.minutes(300)
	}
	for _, i := range o.Indices {
		state := []queue.RecipientState{again, again, {State: queue.Held}, {State: queue.Delivered}, {State: queue.Failed},
			{State: queue.Failed, ReportBy: w.minutes(60)}, {State: queue.Delivered, ReportBy: w.minutes(60)}}[w.random.IntN(7)]
		s.States[i] = state
		s.Entries = append(s.Entries, journal.Entry{
			Kind: journal.Deferred, Message: o.ID.String(), Recipient: o.Envelope.Recipients[i].Address.String(), Reason: fmt.Sprint(state.State),
		})
	}
	if w.one(8) {
		notice := report(2)
		notice.Received, notice.Expires = w.now, w.minutes(2000)
		s.Notice = &notice
	}
	if w.one(8) {
		spawned := report(1)
		spawned.Received, spawned.Expires = w.now, w.minutes(2000)
		s.Reports = []queue.Spawned{spawned}
	}
	return s
}

func (w *twin) passes() string {
	w.now = w.minutes(60)
	if w.one(8) {
		w.now = w.minutes(24 * 60) // keys are forgotten
	}
	return "now " + w.now.String()
}

func (w *twin) suspends() string {
	d, until := w.domain(), w.minutes(120)
	if w.one(3) {
		until = time.Time{}
	}
	if w.one(6) {
		d, until = "", time.Time{}
	}
	w.suspend(d, until)
	(&trial{T: w.T, store: w.model}).suspend(d, until)
	return fmt.Sprintf("suspend %s until %v", d, until)
}

func (w *twin) changes() string {
	q := []queue.Query{{Sender: w.name() + "@from.example"}, {Held: true}, {Destination: w.domain()}, {ReceivedBefore: w.now}}[w.random.IntN(4)]
	a := []queue.Action{queue.Retry, queue.Hold, queue.Release, queue.Release, queue.Remove}[w.random.IntN(5)]
	want, err := w.model.Change(w.Context(), q, a, w.now)
	if err != nil {
		w.Fatal(err)
	}
	w.expectChange(string(a), q, a, w.now, want)
	return fmt.Sprintf("%s %+v", a, q)
}

// reopens accepts a message first: a crash may undo suspensions behind the last commit.
func (w *twin) reopens() string {
	told := w.hands(false)
	w.store, w.model, w.held = w.reopen(w.T, w.store), w.model.Reopen(), nil
	return told + ", reopen"
}
