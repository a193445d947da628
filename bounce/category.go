package bounce

// Category is the kind of a failure.
type Category string

// The categories. docs/reading-bounces.md explains them, and a test holds that table equal to the code.
const (
	BadMailbox     Category = "bad-mailbox"
	Inactive       Category = "inactive"
	MailboxFull    Category = "mailbox-full"
	BadDomain      Category = "bad-domain"
	Filtered       Category = "filtered"
	RejectedSender Category = "rejected-sender"
	Reputation     Category = "reputation"
	Authentication Category = "authentication"
	Policy         Category = "policy"
	Spam           Category = "spam"
	Content        Category = "content"
	TooLarge       Category = "too-large"
	RateLimited    Category = "rate-limited"
	RelayDenied    Category = "relay-denied"
	Protocol       Category = "protocol"
	TLS            Category = "tls"
	Network        Category = "network"
	DNS            Category = "dns"
	System         Category = "system"
	Expired        Category = "expired"
	Greylisted     Category = "greylisted"
	Unknown        Category = "unknown"
)

// Categories lists all of them.
func Categories() []Category {
	list := make([]Category, 0, len(meanings()))
	for _, m := range meanings() {
		list = append(list, m.category)
	}
	return list
}

// Fault is whose fault a failure looks like.
type Fault string

// The faults.
const (
	FaultUs          Fault = "us"             // our configuration, our message, our queue
	FaultReputation  Fault = "our-reputation" // what is thought of our address, or of our domain
	FaultRecipient   Fault = "recipient"      // the address, or who has it
	FaultTheirServer Fault = "their-server"
	FaultTheirPolicy Fault = "their-policy"
	FaultDNS         Fault = "dns" // of the recipient's domain
	FaultNetwork     Fault = "network"
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{FaultUs, FaultReputation, FaultRecipient, FaultTheirServer, FaultTheirPolicy, FaultDNS, FaultNetwork}
}

// meaning is what a category says where its rule does not say otherwise. In sentences {recipient}, {domain} and {host} stand for what is known of them.
type meaning struct {
	category         Category
	hard             bool
	fault            Fault
	sentence, action string
}

func meanings() []meaning {
	return []meaning{
		{BadMailbox, true, FaultRecipient, "The mailbox {recipient} does not exist.", "Check the spelling, and take the address off the list."},
		{Inactive, false, FaultRecipient, "The mailbox {recipient} is switched off.", "Reach the person another way, and stop mailing the address."},
		{MailboxFull, false, FaultRecipient, "The mailbox {recipient} is full.", "Tell the recipient, and try again in some days."},
		{BadDomain, true, FaultRecipient, "The domain {domain} takes no mail, or does not exist.", "Check the spelling of the domain."},
		{Filtered, false, FaultRecipient, "The recipient's own settings at {host} refuse the message.", "Ask the recipient to allow the sender."},
		{RejectedSender, false, FaultUs, "{host} refuses the sender's address.", "Check that the sender's address exists, and that its domain has MX or address records."},
		{Reputation, false, FaultReputation, "{host} refuses mail from our address: it is on a block list, has a bad name, or its name in the DNS is wrong.",
			"Look our address up in the list that the reply names, correct its PTR record, and ask to be taken off."},
		{Authentication, false, FaultUs, "{host} could not verify who sent the message (SPF, DKIM, DMARC, or a password).", "Check the records of the sender's domain, our signing, and the credentials of the route."},
		{Policy, false, FaultTheirPolicy, "A rule of {host} forbids the message.", "Ask the recipient's postmaster which rule it is."},
		{Spam, false, FaultTheirPolicy, "{host} takes the message for spam.", "Look at the text and the links of the message, and at who sends such mail through us."},
		{Content, false, FaultUs, "{host} refuses what is in the message: an attachment, a virus, or its form.", "Send it without the attachment, or correct its form."},
		{TooLarge, false, FaultUs, "The message is larger than {host} takes.", "Send it in parts, or send a link."},
		{RateLimited, false, FaultReputation, "{host} wants less mail from us at a time.", "Wait: the agent slows down by itself. If it stays, send less at a time."},
		{RelayDenied, false, FaultTheirServer, "{host} does not take mail for {domain}.", "The domain's MX records may point to the wrong host: tell its postmaster."},
		{Protocol, false, FaultUs, "{host} and we do not understand each other: a command, or the form of the message.", "Read the reply; correct the message, or report what was said."},
		{TLS, false, FaultTheirServer, "No secure connection to {host} came about, and one is required.", "Look at the certificate of {host}, and at the policy for {domain}."},
		{Network, false, FaultNetwork, "{host} could not be reached, or the connection broke.", "Ask all hosts with `sternpost probe`, and look at the network between."},
		{DNS, false, FaultDNS, "The DNS gave no usable answer for {domain}.", "Look at the domain's name servers and MX records."},
		{System, false, FaultTheirServer, "{host} has trouble of its own.", "Wait; if it stays, tell their postmaster."},
		{Expired, false, FaultTheirServer, "The message could not be delivered to {recipient} in its lifetime.", "Read what the attempts said, and send it again."},
		{Greylisted, false, FaultTheirPolicy, "{host} makes unknown senders wait (greylisting).", "Wait: the next attempt is usually taken."},
		{Unknown, false, FaultTheirServer, "{host} refused the message for a reason that is not understood.", "Read the reply."},
	}
}

func meaningOf(c Category) (meaning, bool) {
	for _, m := range meanings() {
		if m.category == c {
			return m, true
		}
	}
	return meaning{}, false
}
