// Package resolver finds out where the mail of a domain goes: the DNS exchange, its cache, and the MX rules.
//
// What is promised. An answer is what the DNS holds, or it says that it is not: every result is typed (mail.RCode), and only NOERROR,
// NODATA and NXDOMAIN are certain. A reply counts only if it is to our question. AD is believed only from servers that are marked as
// validating. A question has one flight, however many ask it, and what was learnt is cached within stated bounds.
//
// How failure is judged. Mail fails for good only by answers that are certain and fresh: a domain that does not exist, one that takes
// no mail, one whose exchangers cannot be used. Everything else (SERVFAIL, silence, a bogus signature, an expired answer that had to
// be served) defers. The rules are pure functions of answers: mx.go makes the list and the verdict, screen.go takes out what must not be
// connected to, order.go puts the rest in the order of the walk.
//
// Who may call. A Resolver may be used by any number of goroutines. The values that it returns are shared with its cache: read them,
// do not write to their slices. Screen and Shuffle are plain values.
package resolver
