package lab

// PhraseHelp is one line of the list of what a behaviour may say.
type PhraseHelp struct {
	Example string
	Meaning string
}

// Phrases lists what a behaviour may say, each with a phrase that can be used as it is. Any of them may end in "from TIME to TIME", "from TIME" or "until TIME".
func Phrases() []PhraseHelp {
	return []PhraseHelp{
		{"up", "takes everything; so does a host that is not described"},
		{"refused", "nobody listens: a connect is refused at once; down is the same"},
		{"timeout", "the port swallows what is sent to it: a connect times out"},
		{"no greeting", "the connection is taken, and nothing is ever said on it"},
		{"banner 421", "greets with this code, 4xx or 5xx, and hangs up"},
		{`banner 554 5.7.1 "not you"`, "the same with a status and a text"},
		{"endless banner", "a greeting of lines that never end"},
		{"endless line", "a greeting of one line that never ends"},
		{"greylist for 5m", "450 to a sender, recipient and client that are new, for so long"},
		{"421 after 3 messages", "the next message on the same connection gets 421"},
		{"421 after 10 messages per minute", "per second, minute, hour or day, all connections together"},
		{"550 for bad@.*", "to recipients that match the regular expression"},
		{"550 for all but (you|me)@.*", "to those that do not match"},
		{"450 for 20 percent", "to so many, by the seed: 4xx anew each time, 5xx for good"},
		{`450 4.7.1 "try later" for all`, "with a status and a text"},
		{"mailbox full for full@.*", "452 4.2.2; without \"for\" to all recipients"},
		{"mailbox full for good", "552 5.2.2"},
		{"451 at mail", "at greeting, hello, starttls, mail, rcpt, data or dot"},
		{"tarpit 20 octets per second", "all replies come as slowly as that"},
		{"slow final reply 30s", "the reply to the content comes later; or: slow mail 30s"},
		{"drop at data", "hangs up where the reply belongs; content: in its middle"},
		{"reset at data", "the same with a TCP reset"},
		{"drop after the dot", "has the whole message, hangs up without a reply"},
		{"starttls absent", "STARTTLS is not offered"},
		{"starttls refused", "it is offered, and answered with 454"},
		{"starttls broken", "what comes after 220 is no TLS"},
		{"starttls expired", "with a certificate that ended in 1995"},
		{"starttls wrong name", "with a certificate for another name"},
		{"starttls self-signed", "with a certificate of its own making"},
		{"starttls required", "530 to MAIL in clear"},
		{"size 100000", "offers SIZE with so many octets, refuses what is bigger"},
		{"without 8BITMIME", "does not offer this extension"},
	}
}
