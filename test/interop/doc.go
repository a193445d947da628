// Package interop holds the tests with programs that nobody here wrote. They run the sternpost binary.
//
// Mail servers take from it: Postfix, Exim, OpenSMTPD and aiosmtpd as Debian ships them, with NSD and Unbound in front. What arrives is compared octet for octet.
//
// Clients hand it mail, through every door: swaks, msmtp, s-nail, nodemailer, Python's smtplib, Go's net/smtp, PHP's mail(), curl, and what docs/submission.md shows; hostile clients
// do what they can; nmap looks for an open relay. Behind the agent is a sink of ours then, which counts.
//
// What docs/lab.md has an application developer type is typed: the lab and the agent as processes of their own, swaks and nodemailer as the applications, what arrived looked at and asserted;
// and a Go module outside of this tree tests its own mailer in a world of package lab.
//
// Programs that read bounces find in the reports of the agent what its journal says: Sisimai, Mail::DeliveryStatus::BounceParser and flufl.bounce, for 27 kinds of failure.
// What why, bounces and queue print is read by jq, Miller, csvtool, Python's csv and less.
//
// Receivers of webhooks in Node, with the library of Standard Webhooks, and in Python verify what the agent tells them while it is killed.
//
// They are behind the build tag interop, because they need root and foreign programs:
//
//	test/interop/setup.sh
//	go test -tags interop ./test/interop/
//
// Nothing of the machine is changed. setup.sh unpacks the programs that are not installed into a cache directory, and the
// tests run in namespaces of their own: a network that has only a loopback interface, processes that end with the tests,
// and mounts that nobody else sees.
//
// STERNPOST_INTEROP_BIN names a binary to test in place of one built from this tree, and STERNPOST_INTEROP_CACHE another
// cache directory.
package interop
