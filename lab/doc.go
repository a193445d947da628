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
// All methods of World are safe for concurrent use. Close waits until nothing of the world is left.
package lab
