// Package lab is a fake internet for mail: a DNS server with the zone of a scenario, and a scripted mail exchanger at every address of it.
//
// A scenario is one TOML file, named by its trouble; Scenarios returns those that come with the program. Parse reads one, and tells every mistake with its
// line. Open makes a World of it, on loopback addresses or in memory, where it works in a testing/synctest bubble. New does both for a test.
//
// What a World promises: each address of the zone behaves as the scenario says and remembers what it has to (greylisting, rates); two worlds with the same
// scenario and seed treat the same mail alike, in whatever order it comes. What arrives is kept, at most 1,000 messages and 64 MiB of them, newest last. Every event
// is told while it happens. Nothing is resolved, sent or connected to outside of the world: a scenario may name loopback addresses only.
//
// An Expectation is one line about a recipient. Check judges it by what the world saw and, where the sender's own account is handed in, by that too.
//
// An application's own test has a world with a dead primary in five lines:
//
//	func TestOrderIsConfirmed(t *testing.T) {
//		world := lab.New(t, "primary-down")
//		sendOrder(world.DNS().Addr(), world.Port(), "you@example.test") // the application
//		world.Expect("you@example.test delivered by mx2.example.test, copies 1")
//	}
//
// How the behaviours differ where one could take them for the same: refused is a port where nobody listens, which is known at once; timeout is a port that swallows what
// is sent to it, so that a connect waits until its time is over (on loopback the kernel drops the SYN, because the queue of a listener that never accepts is full); no
// greeting is a connection on which nothing is ever said. Phrases lists all.
//
// All methods of World are safe for concurrent use. Close waits until nothing of the world is left.
package lab
