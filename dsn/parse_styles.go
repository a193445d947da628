package dsn

import (
	"regexp"
	"strings"

	"sternpost/mail"
)

var (
	eximEnd    = regexp.MustCompile(`(?m)^------ (?:This is a copy of |The body of the message ).*$`)
	eximRemote = regexp.MustCompile(`\bhost (\S+) \[`)
	eximReply  = regexp.MustCompile(`(?ms)(?:^\s*|\]: |: )([245]\d\d[ -].*)`)
)

// readExim reads the words of Exim: an address two columns in, what happened to it four columns in.
func readExim(words string) ([]Recipient, string) {
	action := Failed
	if strings.Contains(words, "not yet been delivered") || strings.Contains(words, "have yet to be delivered") {
		action = Delayed
	}
	var list []Recipient
	for _, e := range eximEntries(words) {
		one := told(e.address, e.reason, first(eximReply, e.reason))
		one.Action, one.RemoteMTA = action, first(eximRemote, e.reason)
		list = append(list, one)
	}
	return list, ""
}

// entry is one address in a list, and the lines below it.
type entry struct{ address, reason string }

func eximEntries(words string) []entry {
	var list []entry
	for line := range strings.Lines(words) {
		switch {
		case strings.HasPrefix(line, "    ") && len(list) > 0:
			list[len(list)-1].reason += line
		case strings.HasPrefix(line, "  ") && strings.TrimSpace(line[2:]) != "" && line[2] != ' ':
			list = append(list, entry{address: strings.TrimSpace(line)})
		}
	}
	return list
}

var (
	sendmailEnd     = regexp.MustCompile(`(?mi)^ *----- ?(?:Original message|Unsent message|Returned message|Message headers?)(?: follows?)? ?-----.*$`)
	sendmailPart    = regexp.MustCompile(`(?m)^ *----- (.*?) -----.*$`)
	sendmailReason  = regexp.MustCompile(`(?s)\(reason: (.*?)\)\s*(?:\(|$)`)
	sendmailTalking = regexp.MustCompile(`(?i)while talking to ([^\s:]+?)\.?:`)
	sendmailSaid    = regexp.MustCompile(`(?m)^([245]\d\d)[ -](?:[245]\.\d{1,3}\.\d{1,3} )?<?([^<>\s]+@[^<>\s]+?)>?\.\.\. .*$`)
)

// readSendmail reads the words of sendmail: a list of addresses, and a transcript of the session. The oldest have the transcript alone.
func readSendmail(words string) ([]Recipient, string) {
	var list []Recipient
	var transcript string
	places := sendmailPart.FindAllStringSubmatchIndex(words, -1)
	for i, at := range places {
		end := len(words)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		title, text := words[at[2]:at[3]], words[at[1]:end]
		if strings.HasPrefix(title, "Transcript") {
			transcript += text
		} else {
			list = append(list, sendmailList(title, text)...)
		}
	}
	if len(list) == 0 {
		list = sendmailUnlisted(transcript)
	}
	replies := sendmailReplies(transcript)
	for i := range list {
		list[i] = list[i].transcribed(cutWords(transcript, maxReason), replies)
	}
	return list, ""
}

// sendmailList reads one list of addresses. What is indented below an address is about it.
func sendmailList(title, text string) []Recipient {
	var list []Recipient
	for _, e := range indented(text) {
		address, note, _ := strings.Cut(e.address, "  ")
		one := told(address, e.reason, first(sendmailReason, e.reason))
		if strings.Contains(title, "transient") || strings.Contains(note, "transient") {
			one.Action = Delayed
		}
		list = append(list, one)
	}
	return list
}

// indented reads addresses at the beginning of lines, and what is indented below each.
func indented(text string) []entry {
	var list []entry
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		switch {
		case bare == "":
		case strings.ContainsRune(" \t", rune(line[0])) && len(list) > 0:
			list[len(list)-1].reason += line
		default:
			list = append(list, entry{address: bare})
		}
	}
	return list
}

// sendmailUnlisted are the addresses that the transcript has errors of.
func sendmailUnlisted(transcript string) []Recipient {
	var list []Recipient
	known := map[mail.Address]bool{}
	for _, found := range sendmailSaid.FindAllStringSubmatch(transcript, -1) {
		if one := told(found[2], found[0], found[0]); !one.Final.IsZero() && !known[one.Final] {
			known[one.Final] = true
			list = append(list, one)
		}
	}
	return list
}

// sendmailReplies are the replies that the transcript has about addresses; the last counts.
func sendmailReplies(transcript string) map[mail.Address]mail.Reply {
	replies := map[mail.Address]mail.Reply{}
	for _, found := range sendmailSaid.FindAllStringSubmatch(transcript, -1) {
		replies[parseAddress(found[2])] = parseReply(oneLine(cutWords(found[0], maxReason)))
	}
	return replies
}

// transcribed adds what the transcript says of a recipient.
func (r Recipient) transcribed(transcript string, replies map[mail.Address]mail.Reply) Recipient {
	if r.Diagnostic.IsZero() && !r.Final.IsZero() {
		r.Diagnostic = replies[r.Final]
	}
	if r.Status.IsZero() {
		r.Status, _ = r.Diagnostic.Enhanced()
	}
	r.Reason = strings.TrimSpace(r.Reason + " " + oneLine(transcript))
	r.RemoteMTA = first(sendmailTalking, transcript)
	return r
}

var (
	exchangeEnd    = regexp.MustCompile(`(?m)^(?:Original message headers:|-----Original Message-----)\s*$`)
	exchangeServer = regexp.MustCompile(`(?m)^Generating server: (\S+)`)
	exchangeReply  = regexp.MustCompile(`(?s)(?:#|Remote Server returned '<?|<[^<>]*#[245]\.\d+\.\d+ smtp;)([245]\d\d[ -].*?)(?: ?##|'|>?\s*$)`)
	exchangeRemote = regexp.MustCompile(`(?m)^([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\s*(?:#|\n\s*Remote Server|<)`)
	inetAddress    = regexp.MustCompile(`^\s*(\S+@\S+) on .*\d`)
	inetRemote     = regexp.MustCompile(`<(\S+) #`)
)

// readExchange reads the part for administrators of what Exchange writes since 2007, where a gateway has left out the status.
func readExchange(words string) ([]Recipient, string) {
	var list []Recipient
	for _, p := range paragraphs(words) {
		address, reason, found := strings.Cut(p, "\n")
		if !found || !strings.Contains(address, "@") || !toldReply.MatchString(strings.ReplaceAll(reason, "#", " ")) && first(exchangeReply, reason) == "" {
			continue
		}
		one := told(address, reason, first(exchangeReply, reason))
		one.RemoteMTA = first(exchangeRemote, reason+"\n")
		list = append(list, one)
	}
	return list, first(exchangeServer, words)
}

// readInternetMail reads what Exchange wrote before: an address and the time, and words below them.
func readInternetMail(words string) ([]Recipient, string) {
	var list []Recipient
	for _, p := range paragraphs(behind(words, "following recipient(s):")) {
		head, reason, _ := strings.Cut(p, "\n")
		address := first(inetAddress, head)
		if address == "" {
			continue
		}
		one := told(address, reason, first(exchangeReply, reason))
		one.RemoteMTA = first(inetRemote, reason)
		list = append(list, one)
	}
	return list, ""
}

var (
	postfixEnd     = regexp.MustCompile(`(?m)^--[^ \n]+$`) // of a part, where the parts are lost
	postfixHost    = regexp.MustCompile(`at host (\S+?)[.,]?\s`)
	postfixAddress = regexp.MustCompile(`^<([^>\n]*)>(?: \(expanded from\s+<[^>]*>\))?:\s`)
	postfixRemote  = regexp.MustCompile(`\bhost\s+(\S+)\[`)
	postfixReply   = regexp.MustCompile(`(?s)\bsaid:\s+([245]\d\d[ -].*?)(?:\s+\(in\s+reply\s+to|$)`)
)

// readPostfix reads the part for people of Postfix, where a gateway has left out the others.
func readPostfix(words string) ([]Recipient, string) {
	action := Failed
	if strings.Contains(words, "THIS IS A WARNING ONLY") {
		action = Delayed
	}
	var list []Recipient
	for _, p := range paragraphs(words) {
		found := postfixAddress.FindStringSubmatch(p)
		if found == nil {
			continue
		}
		reason := p[len(found[0]):]
		one := told(found[1], reason, first(postfixReply, reason))
		one.Action, one.RemoteMTA = action, first(postfixRemote, reason)
		list = append(list, one)
	}
	return list, first(postfixHost, words)
}

var (
	openEnd  = regexp.MustCompile(`(?m)^ *Below is a copy of the original message.*$`)
	openLine = regexp.MustCompile(`(?m)^(\S+@[^\s:]+): (.*)$`)
)

// readOpen reads the part for people of OpenSMTPD: a line for each recipient.
func readOpen(words string) ([]Recipient, string) {
	action := Failed
	if strings.Contains(words, "A message is delayed") {
		action = Delayed
	}
	var list []Recipient
	for _, found := range openLine.FindAllStringSubmatch(words, -1) {
		one := told(found[1], found[2], found[2])
		one.Action = action
		list = append(list, one)
	}
	return list, ""
}
