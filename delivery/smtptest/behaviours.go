package smtptest

import "strings"

// Behaviour is one way in which a server treats a sender, with the script that
// does it.
type Behaviour struct {
	Name   string
	Text   string // what it is, in a few words
	Script string
}

// Behaviours returns polite, refusing, broken and hostile servers, with fixed
// names. Two recipients are told apart by name: rcpt_one_bad refuses those whose
// address begins with bad@.
func Behaviours() []Behaviour {
	var all []Behaviour
	for section := range strings.SplitSeq(strings.TrimPrefix(behaviours, "== "), "\n== ") {
		head, script, _ := strings.Cut(section, "\n")
		name, text, _ := strings.Cut(head, ": ")
		all = append(all, Behaviour{Name: name, Text: text, Script: script})
	}
	return all
}

// behaviours is the text of Behaviours: a head line "== NAME: TEXT" and a script each.
const behaviours = `== ok: accepts everything
== banner421: greets with 421 and hangs up
banner 421 4.3.2 too many connections / close
== banner554: greets with 554 and hangs up
banner 554 5.7.1 no mail from you here / close
== ehlo502_helo_ok: knows HELO only
ehlo 502 5.5.1 command unknown
== ehlo421: answers EHLO with 421 and hangs up
ehlo 421 4.3.2 shutting down / close
== immediate_close: hangs up without a greeting
banner close
== immediate_rst: resets without a greeting
banner reset
== banner_stall: takes the connection and says nothing
banner stall
== banner_endless_multiline: a greeting of 300,000 continued lines, and no last one
banner endless-lines 300000 220-{x*60} / stall
== banner_endless_line: a greeting line of 15 MB that does not end
banner endless-line 15000000 220\x20 / stall
== mail550: refuses the sender for good
mail 550 5.7.1 sender not welcome
== mail451: refuses the sender for now
mail 451 4.7.1 come back later
== rcpt550: refuses every recipient for good
rcpt 550 5.1.1 no such user
== rcpt450: refuses every recipient for now
rcpt 450 4.2.0 mailbox busy
== rcpt452_after_first: takes one recipient a transaction, the others get 452
rcpt #2+ 452 4.5.3 too many recipients
== rcpt552_after_first: takes one recipient a transaction, the others get 552
rcpt #2+ 552 too many recipients
== data554: refuses DATA for good
data 554 5.7.1 no content today
== data451: refuses DATA for now
data 451 4.3.0 try later
== dot250_rst: accepts the content and resets at once
dot 250 2.0.0 queued / reset
== dot_close: hangs up where the reply to the content belongs
dot close
== dot_stall: never replies to the content
dot stall
== dot554: refuses the content for good
dot 554 5.7.1 content not wanted
== dot451: refuses the content for now
dot 451 4.3.0 disk full
== dot_garbage_then_250: a line that is no reply stands before the reply to the content
dot say hello world / 250 2.0.0 queued
== rcpt999: a reply code beyond the range
rcpt 999 weird
== rcpt099: a reply code below the range
rcpt 099 weird
== rcpt25: a reply code of two digits
rcpt 25 short
== rcpt250_notext: a reply of three digits and nothing else
rcpt 250
== rcpt_mixed_multiline: two codes in one reply
rcpt 250-ok / 550 5.1.1 no
== barelf_replies: ends its lines in LF alone
line-end lf
== rcpt550_nasty: a refusal full of markup, controls, false log text and length
rcpt 550-5.1.1 <script>alert(1)</script> \x1b[2J\x00\xff / 550-5.1.1 to=<x>, status=sent / 550 5.1.1 {B*3000}
== data_rst_mid: resets after 1,000 octets of content
data 354 go ahead / read 1000 / reset
== data_stop_reading: asks for the content and stops reading
data 354 go ahead / stop-reading
== no_8bitmime: speaks ESMTP without any extension
offer nothing
== size_too_small: takes 100 octets at most
offer PIPELINING / SIZE 100 / 8BITMIME / ENHANCEDSTATUSCODES
== starttls_454: offers STARTTLS and has none
tls valid
starttls 454 4.7.0 TLS not available now
== starttls_garbage: answers the TLS hello with something else
tls valid
starttls 220 2.0.0 go ahead / read 1 / garbage / close
== mail550_close: refuses the sender for good and hangs up
mail 550 5.7.1 blocked / close
== rcpt421_close: answers the recipient with 421 and hangs up
rcpt 421 4.7.0 too fast / close
== early_552_during_data: refuses after 200 octets of content and hangs up
data 354 go ahead / read 200 / 552 5.3.4 message too big / close
== rcpt_one_bad: refuses one of two recipients for good
rcpt <bad@.*> 550 5.1.1 no such user
== rcpt251: takes every recipient with 251
rcpt 251 2.1.5 not here, will forward
== rcpt551: knows another address for every recipient
rcpt 551 not here, try <elsewhere@example.test>
== data250: answers DATA with 250
data 250 2.0.0 OK
== quit_stall: never replies to QUIT
quit stall
== dot_multiline_slow: a slow reply of four lines to the content
dot 250-wait / sleep 1s / 250-wait / sleep 1s / 250-wait / sleep 1s / 250 2.0.0 queued
== ehlo_drip: the 46 octets of the reply to EHLO, one a second
ehlo drip 1s / 250-mx-10.test / 250-PIPELINING / 250 8BITMIME
== banner220_then_421_unsolicited: says 421 after EHLO without being asked
ehlo 250-mx.test / 250 8BITMIME / flush / 421 4.3.2 shutting down / close
`
