// Package storetest says what a queue.Store is: Memory is one that is as plain as can be, the specification by example, and Run and RunReopen are the
// conformance suite that every Store passes.
//
// Where the comments of the interface leave a choice, Memory has made it:
//
//   - The unit of work is a message and one destination. Its due time is the earliest of its pending recipients; one that was never tried is due at the
//     later of Received and SendAt. Commit and Overdue give all its pending recipients, Lease those that are due themselves.
//   - Want.PerDestination of zero is no limit.
//   - The deadline belongs to the same unit: a Settlement moves that of its own destination. Held recipients are in no lease and meet no deadline.
//   - Change reaches the recipients that fit Query.Recipient and Query.Destination, and no others of the same message. It writes an entry for each.
//   - A batch of settlements is taken whole or not at all.
package storetest
