// Package mail holds the nouns of Sternpost. It does no I/O, keeps no state and every value in it may be
// shared between goroutines once it is built.
//
// One noun has one meaning, here and in every other room, the log and the documents:
//
//	Address        a mailbox: local-part and domain                       RFC 5321 s4.1.2
//	Domain         a domain name in A-label form, or an address literal   RFC 5321 s2.3.5, RFC 5890
//	Pattern        a set of domains, as the configuration writes it
//	ReversePath    where failure reports go; the null one is <>           RFC 5321 s4.1.1.2
//	Envelope       reverse-path, recipients and parameters of a message   RFC 5321 s2.3.1
//	Recipient      a forward-path with its DSN wishes                     RFC 3461
//	Transaction    MAIL to dot for n recipients of one destination        RFC 5321 s3.3
//	Reply          an SMTP reply with all its lines                       RFC 5321 s4.2
//	Status         an enhanced status, class.subject.detail               RFC 3463
//	Outcome        the verdict on one recipient in one attempt
//	Disposition    Delivered, Deferred or Failed; Deferred may be in doubt
//	Scope          what failed: Recipient, Message, Session, Host, Destination, Local
//	Stage          where in the conversation: resolve to quit
//	Route          MX or smarthost: the way that a recipient domain takes
//	Destination    the unit of queueing: the routed domain
//	Site           the set of exchangers that a destination leads to
//	Exchanger      an MX host; Preference is its rank                     RFC 5321 s5.1
//	Candidate      one address of one host in a plan, with its story
//	Lookup         one DNS question and what was answered
//	Attempt        one try of a transaction over a plan: the tree that is kept
//
// How failure is judged: an Outcome has three coordinates, Disposition, Scope and Stage, and is made in one
// place (package delivery, classify.go). Everything else only reads it.
package mail
