// Package smtptest is a scripted SMTP server and a fake network for tests, the
// demonstration and the lab. It is no mail server: it keeps nothing, checks
// little, and exists to imitate any server, polite or hostile, that a sending
// agent may meet. The dialogue goes in as text, and what the server heard comes
// out as Connections, Transactions and Messages.
//
// # Where it runs
//
// New listens on the loopback address. Network.Serve listens in memory, on a
// Network whose Dial takes the place of net.Dialer and whose addresses can be
// refused, unreachable, slow or silent; in a testing/synctest bubble hours of
// waiting then cost nothing. Start takes any listener and no test.
//
// # The dialogue
//
// The empty script is a polite server with PIPELINING, SIZE, 8BITMIME,
// ENHANCEDSTATUSCODES, DSN and SMTPUTF8. Each line of a script changes one
// thing; empty lines and lines that begin with # say nothing.
//
//	# refuses one recipient, and knows no other extension than these
//	offer PIPELINING / SIZE 10000000
//	rcpt <bad@.*> 550 5.1.1 no such user
//	dot 250 2.0.0 queued as ABC
//
// A line is VERB [SELECTOR ...] STEP [/ STEP ...]. The verbs are banner, ehlo,
// helo, starttls, auth, mail, rcpt, data, bdat, dot, rset, noop, quit, and other
// for any other command. dot is the end of the content, of DATA or of BDAT LAST
// where no bdat line fits. The verb offer takes EHLO keywords for steps, or
// the word nothing, and spares writing out the reply to EHLO.
//
// Of several lines that fit, the first counts, except that lines of a
// connection section come before all others. Where none fits, the server is
// polite. Selectors, all of which must hold, are
//
//	#2, #2+, #2-4   the second time, from the second on, the second to fourth:
//	                of this verb on this connection; for rcpt since MAIL
//	<regexp>        mail and rcpt: all of what stands between the angle brackets
//	/regexp/        somewhere in the command line; for dot in the first 64 KiB of content
//	in-clear, in-tls
//
// Steps are done in order, separated by a slash with a space on both sides:
//
//	250-some text      a reply line; anything that begins with a digit
//	say TEXT           any other line
//	raw TEXT           octets without a line end
//	endless-line N TEXT    TEXT and N times x without a line end; forever for N
//	endless-lines N TEXT   the line N times; forever for N
//	garbage [N]        about N octets that are no reply and no TLS
//	flush              send what is held back
//	sleep 3s           send what is held back and pause
//	drip 1s            from here to the end of the line, pause before each octet
//	read N             read N octets; of the content, less where it ends before
//	stall              say nothing more, read on, until the client goes
//	stop-reading       say nothing more, read nothing more, until the server is closed
//	close, reset       end the connection, in order or with a TCP reset
//	at-once            auth: reply to the command, without hearing the credentials
//
// TEXT has the escapes of Go strings (\x1b, \x00, \xff) and repetitions such as
// {B*3000}, which are not expanded before they are sent.
//
// Data: the content is read after a reply with 354. Steps behind the 354 are
// done before that, so that "data 354 go / read 200 / 552 too big / close"
// replies in mid-content; a reply there that does not close takes the place of
// the one to the dot. A bdat line is done after the octets of the chunk, but one
// with read or stop-reading as the chunk begins. STARTTLS: the handshake begins
// after the last step if a line has 220, so that steps behind the 220 inject
// plaintext in the same segment. AUTH: PLAIN, LOGIN, XOAUTH2 and OAUTHBEARER are
// heard to the end, recorded, and then replied to. QUIT ends the connection
// after its last step.
//
// These lines hold for the whole server and stand before any section:
//
//	name mx.test                 in the banner, in EHLO and in the certificate
//	tls [KIND [NAME ...]]        offer STARTTLS; valid, expired, wrong-name, self-signed
//	implicit-tls [KIND [NAME ...]]
//	credentials USER SECRET      offer AUTH and accept this; may be repeated
//	line-end lf                  all replies end in a bare LF
//	flush each                   send each reply at once, not when the input is drained
//	pace 20                      all replies come with this many octets a second
//	delay VERB 30s               pause before the reply to VERB, whatever it is
//	keep wire                    record all octets of the client
//	keep no-content              count the content, do not keep it
//	keep first N                 count the content, keep its first N octets
//
// A section makes the server differ by connection, counted from 1 as accepted:
//
//	connection #1
//	banner 421 4.3.2 too busy / close
//	connection all
//	dot 250 2.0.0 queued
//
// # More than a script
//
// WithDecision lets a function decide what a script cannot: greylisting, rates,
// chance. WithObserver tells what happens while it happens. SetScript and Cut
// change a server that runs; WithHistory bounds what it remembers.
//
// Behaviours returns scripts of the troubles that a sending agent has to stand.
package smtptest
