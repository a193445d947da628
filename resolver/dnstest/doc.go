// Package dnstest is a DNS server within the process that answers from zone text, and misbehaves as it is told.
//
// The text is a master file (RFC 1035 s5) with any number of zones; names are absolute with or without their last dot until an $ORIGIN says
// otherwise, and the TTL is 300 until another is written. A zone needs no SOA: one of the root, with a minimum of 60, stands in. What is not in the text does not exist
// (NXDOMAIN). The server answers as a recursive one does: it follows aliases, and sets RA. Wildcards work.
//
// Faults stand in the text as comments, or are set by Server.Fault:
//
//	example.test.      MX 10 mx.example.test.
//	mx.example.test.   A  192.0.2.1
//	; fault: mx.example.test A delay=2s
//	; fault: example.test MX SERVFAIL
//
// "*" stands for every name, and for every type. The first of these that is set counts: name and type, name, type, everything.
//
// A server is reached over UDP and TCP on a loopback address, and by Server.Dial within memory, which works in a testing/synctest bubble when the server
// was made there by Memory or Make. A Server may be used by any number of goroutines; Close waits for its own.
package dnstest
