package bounce

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// Event is an entry of the journal, of the kind Failed or Deferred, and what it means. Entries of other kinds do not count.
type Event struct {
	Entry   journal.Entry
	Verdict Verdict
}

// Incident is one cause of many failures.
type Incident struct {
	// Key is the cause: equal ones have equal keys, also in other periods.
	Key      string
	Category Category // the cause where messages expired
	Fault    Fault
	// Messages is how many of them met it, each counted once however often it was tried; AtLeast says that they were more than were counted.
	Messages int
	AtLeast  bool
	// Failed and Deferred are the entries of the journal.
	Failed, Deferred int
	First, Last      time.Time
	// Domains are those of the recipients, in the order in which they came, and at most ten of them; MoreDomains says that there were others.
	Domains     []mail.Domain
	MoreDomains bool
	// Address is ours as the remote names it, where it does: the zero value otherwise.
	Address netip.Addr
	// Sentence says it for a person, Action what to do; Link is the page of the provider.
	Sentence, Action, Link string

	place  string
	sender bool // place is the sender's domain
}

// The bounds of what Gather holds in memory, about 20 MB.
const (
	maxIncidents = 1000
	maxCounted   = 500_000 // messages over all incidents
	maxDomains   = 10
)

// Gather makes one incident of equal causes: those that at least least messages met, the most frequent first. It is a function of its arguments. Its memory is bounded: of
// more than maxIncidents causes the rare and old ones are forgotten.
func Gather(events iter.Seq[Event], least int) []Incident {
	g := gathering{byKey: map[string]*Incident{}, seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	for e := range events {
		if e.Entry.Kind == journal.Failed || e.Entry.Kind == journal.Deferred {
			g.add(e)
		}
	}
	var list []Incident
	for _, i := range g.sorted() {
		if i.Messages >= least {
			i.tell()
			list = append(list, *i)
		}
	}
	return list
}

type gathering struct {
	byKey map[string]*Incident
	seen  map[uint64]struct{} // message and cause
	seed  maphash.Seed
}

func (g *gathering) add(e Event) {
	made := begun(e)
	i := g.byKey[made.Key]
	if i == nil {
		if len(g.byKey) >= 2*maxIncidents {
			g.forget()
		}
		i = &made
		g.byKey[i.Key] = i
	}
	if e.Entry.Kind == journal.Failed {
		i.Failed++
	} else {
		i.Deferred++
	}
	at := e.Entry.Cursor.Time
	if at.Before(i.First) {
		i.First = at
	}
	if at.After(i.Last) {
		i.Last, i.Action, i.Link = at, e.Verdict.Action, e.Verdict.Link
	}
	g.count(i, e.Entry.Message)
	i.addDomain(e.Entry.Domain)
}

// count adds a message to i unless it did before.
func (g *gathering) count(i *Incident, message string) {
	sum := maphash.String(g.seed, i.Key+"\x00"+message)
	if _, known := g.seen[sum]; known {
		return
	}
	if len(g.seen) >= maxCounted {
		i.AtLeast = true
		return
	}
	g.seen[sum] = struct{}{}
	i.Messages++
}

func (i *Incident) addDomain(d mail.Domain) {
	switch {
	case d == "" || slices.Contains(i.Domains, d):
	case len(i.Domains) >= maxDomains:
		i.MoreDomains = true
	default:
		i.Domains = append(i.Domains, d)
	}
}

// sorted is the most frequent first, of equal ones the latest.
func (g *gathering) sorted() []*Incident {
	list := make([]*Incident, 0, len(g.byKey))
	for _, i := range g.byKey {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b *Incident) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), b.Last.Compare(a.Last), cmp.Compare(a.Key, b.Key))
	})
	return list
}

// forget drops the rarer half. What they counted stays in seen, where its bound holds it.
func (g *gathering) forget() {
	for _, i := range g.sorted()[maxIncidents:] {
		delete(g.byKey, i.Key)
	}
}

// begun is the incident that e would be the first of.
func begun(e Event) Incident {
	at := e.Entry.Cursor.Time
	i := Incident{Category: e.Verdict.Cause, Fault: e.Verdict.Fault, First: at, Last: at, Action: e.Verdict.Action, Link: e.Verdict.Link}
	switch i.Category {
	case Authentication, RejectedSender:
		i.place, i.sender = senderDomain(e.Entry.Sender), true
	case BadMailbox, Inactive, MailboxFull, Filtered, BadDomain, DNS:
		i.place = string(e.Entry.Domain)
	default:
		i.place = cmp.Or(organization(e.Entry.Host), string(e.Entry.Domain))
	}
	if i.Category == Reputation || i.Category == RateLimited {
		i.Address = named(e.Entry.Reply)
	}
	i.Key = string(i.Category) + " " + i.place
	if i.Address.IsValid() {
		i.Key += " " + i.Address.String()
	}
	return i
}

func senderDomain(sender string) string {
	return strings.ToLower(strings.TrimSuffix(sender[strings.LastIndexByte(sender, '@')+1:], ">"))
}

// organization is the part of a host's name that its owner registered, as well as that can be told without a list of public suffixes: two labels, or three behind a short
// second one such as co.uk.
func organization(host string) string {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	n := len(labels)
	if n > 2 && len(labels[n-1]) == 2 && len(labels[n-2]) <= 3 {
		return strings.Join(labels[n-3:], ".")
	}
	return strings.Join(labels[max(0, n-2):], ".")
}

// named is the first IP address that a reply names: ours, where it speaks of reputation.
func named(reply []string) netip.Addr {
	isPart := func(c rune) bool {
		return c == '.' || c == ':' || c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	}
	for _, line := range reply {
		for word := range strings.FieldsFuncSeq(line, func(c rune) bool { return !isPart(c) }) {
			ip, err := netip.ParseAddr(strings.Trim(word, ".:"))
			if err == nil && ip.IsGlobalUnicast() {
				return ip
			}
		}
	}
	return netip.Addr{}
}

// tell writes the sentence. Times are in UTC.
func (i *Incident) tell() {
	count := fmt.Sprintf("%d messages", i.Messages)
	if i.Messages == 1 {
		count = "1 message"
	}
	if i.AtLeast {
		count = "more than " + count
	}
	became := "refused"
	switch {
	case i.Failed == 0:
		became = "delayed"
	case i.Deferred > 0:
		became = "refused or delayed"
	}
	since := i.First.UTC().Format("15:04")
	if i.Last.Sub(i.First) >= 12*time.Hour || i.First.UTC().YearDay() != i.Last.UTC().YearDay() {
		since = i.First.UTC().Format("2006-01-02 15:04")
	}
	where := "to"
	if i.sender {
		where = "from"
	}
	i.Sentence = fmt.Sprintf("%s %s %s %s since %s: %s", count, where, cmp.Or(mail.Escape(i.place), "the null sender"), became, since, i.why())
}

// why is the cause in a few words.
func (i *Incident) why() string {
	switch i.Category {
	case Reputation:
		if i.Address.IsValid() {
			return "our address " + i.Address.String() + " is listed, or has a bad name"
		}
		return "our address is listed, or has a bad name"
	case RateLimited:
		return "they want less mail from us at a time"
	case BadMailbox:
		return "mailboxes that do not exist"
	case Inactive:
		return "mailboxes that are switched off"
	case MailboxFull:
		return "mailboxes that are full"
	case BadDomain:
		return "the domain takes no mail, or does not exist"
	case Filtered:
		return "recipients' own filters"
	case RejectedSender:
		return "the sender's address is refused"
	case Authentication:
		return "who sent the mail could not be verified"
	case Policy:
		return "a rule of theirs forbids the mail"
	case Spam:
		return "they take the mail for spam"
	case Content, Protocol:
		return "what is in the mail, or its form, is refused"
	case TooLarge:
		return "the messages are too large for them"
	case RelayDenied:
		return "the host does not take mail for the domain"
	case TLS:
		return "no secure connection comes about, and one is required"
	case Network:
		return "the hosts cannot be reached, or connections break"
	case DNS:
		return "the DNS gives no usable answer"
	case System:
		return "they have trouble of their own"
	case Greylisted:
		return "they make new senders wait"
	default:
		return "for a reason that is not understood"
	}
}
