package bounce

import (
	_ "embed" // rules.toml
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"sternpost/journal"
	"sternpost/mail"
)

//go:embed rules.toml
var embedded string

// Classifier says what failures mean. It does not change.
type Classifier struct {
	rules     []compiled
	byWord    map[string][]entry // phrases by their first word
	wordless  []int              // rules without text
	providers []provider
	lists     []list
}

// entry is a phrase of a rule.
type entry struct {
	rule   int
	phrase *phrase
}

// provider is who runs hosts, and the page where it explains its replies.
type provider struct {
	Hosts []string `toml:"hosts"`
	Link  string   `toml:"link"`
}

// list is a block list, by the words that its name has in replies, and the page where it tells what it knows of an address.
type list struct {
	Words []string `toml:"words"`
	Link  string   `toml:"link"`
}

// New is a classifier with rules of an operator before its own.
func New(own []Rule) (*Classifier, error) {
	var file struct {
		Rules     []Rule     `toml:"rules"`
		Providers []provider `toml:"providers"`
		Lists     []list     `toml:"lists"`
	}
	if _, err := toml.Decode(embedded, &file); err != nil {
		return nil, fmt.Errorf("the rules of the program: %w", err)
	}
	c := &Classifier{byWord: map[string][]entry{}, providers: file.Providers, lists: file.Lists}
	var errs []error
	for i, r := range own {
		if err := c.add(r); err != nil {
			errs = append(errs, eachLine(fmt.Sprintf("bounce.rules[%d].", i), err))
		}
	}
	for _, r := range file.Rules {
		if err := c.add(r); err != nil {
			errs = append(errs, fmt.Errorf("the rule %s of the program: %w", r.Name, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, c.try(own)
}

func eachLine(prefix string, err error) error {
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, errors.New(prefix+line))
	}
	return errors.Join(errs...)
}

func (c *Classifier) add(r Rule) error {
	ready, err := r.check()
	if err != nil {
		return err
	}
	n := len(c.rules)
	c.rules = append(c.rules, ready)
	if len(ready.phrases) == 0 {
		c.wordless = append(c.wordless, n)
	}
	for i := range ready.phrases {
		words, _ := ready.phrases[i].keys()
		for _, word := range words {
			c.byWord[word] = append(c.byWord[word], entry{n, &ready.phrases[i]})
		}
	}
	return nil
}

// try tells of an operator's rules that do not recognize their own samples.
func (c *Classifier) try(own []Rule) error {
	var errs []error
	for i, r := range own {
		if r.Sample == "" {
			continue
		}
		if by := c.Classify(r.sample()).Rule; by != r.Name {
			errs = append(errs, fmt.Errorf("bounce.rules[%d].sample: is recognized by the rule %q, not by this one", i, by))
		}
	}
	return errors.Join(errs...)
}

// sample is the failure that the sample of a rule stands for: a stage, a code and a status, which may each be missing, and text.
func (r Rule) sample() Failure {
	f := Failure{Domain: "example.net"}
	text := r.Sample
	if first, rest, found := strings.Cut(text, " "); found && isStage(first) {
		f.Stage, text = mail.Stage(first), rest
	}
	if len(r.Domains) > 0 {
		f.Host = r.Domains[0]
	}
	inner := unwrap(text)
	f.Code, f.Status, f.Lines, f.Reason = inner.Code, inner.Status, inner.Lines, text
	if f.Code == 0 {
		f.Lines = nil
	}
	return f
}

func isStage(word string) bool {
	for _, s := range mail.Stages() {
		if word == string(s) {
			return true
		}
	}
	return false
}

// Classify says what a failure means.
func (c *Classifier) Classify(f Failure) Verdict {
	n := c.find(&f)
	v := Verdict{Category: Unknown, Fault: FaultTheirServer, Permanent: f.Code/100 == 5}
	m, _ := meaningOf(Unknown)
	if n >= 0 {
		r := &c.rules[n]
		m, _ = meaningOf(Category(r.Category))
		v.Category, v.Hard, v.Fault, v.Link, v.Rule = m.category, r.hard, r.fault, r.Link, r.Name
		m.sentence, m.action = or(r.Sentence, m.sentence), or(r.Action, m.action)
	}
	v.Cause = v.Category
	v.Sentence, v.Action = f.fill(m.sentence), f.fill(m.action)
	f.name(&v)
	// Not anywhere in it: the rest of a reason may quote a stranger.
	if strings.HasPrefix(f.Reason, journal.LifetimeEnded) || strings.HasPrefix(f.Reason, journal.NeverReached) {
		v = f.expired(v)
	}
	if strings.HasPrefix(f.Reason, journal.Returned) {
		v = f.returned(v)
	}
	if v.Link == "" && v.Cause == Reputation {
		v.Link = c.listed(f)
	}
	if v.Link == "" {
		v.Link = c.page(f)
	}
	return v
}

// name says more of a domain that has no hosts: whether it exists, and which may be meant.
func (f Failure) name(v *Verdict) {
	domain, is := mail.Escape(string(f.Domain)), "takes no mail"
	if v.Rule == ruleHostUnknown && strings.Contains(f.Reason, string(f.Domain)+" does not exist") {
		is = "does not exist"
		v.Sentence = "The domain " + domain + " does not exist."
	}
	if v.Rule == ruleHostUnknown && f.Status == (mail.Status{5, 4, 4}) {
		v.Sentence = "The MX records of " + domain + " name no host that has an address."
		v.Action = "Tell the postmaster of " + domain + " by another way; until it is mended no mail can go there."
	}
	if meant, ok := f.typo(*v); ok {
		v.Sentence = domain + " " + is + "; " + string(meant) + " may be meant."
		v.Action = "Correct the address, if it is a slip: " + string(meant) + " for " + domain + "."
	}
}

// typo is the well-known domain that may be meant by one for which the DNS has no hosts.
func (f Failure) typo(v Verdict) (meant mail.Domain, ok bool) {
	if v.Rule != ruleHostUnknown || f.Code != 0 {
		return "", false
	}
	return Typo(f.Domain)
}

// expired keeps what is known of the cause. A dead address is said by a reply at once, never by time.
func (f Failure) expired(v Verdict) Verdict {
	m, _ := meaningOf(Expired)
	v.Category, v.Hard = Expired, false
	cause := v.Sentence
	v.Sentence = f.fill(m.sentence)
	if strings.HasPrefix(v.Action, "Wait") { // it has waited
		v.Action = m.action
	}
	if v.Cause == Unknown || v.Cause == Expired {
		v.Action = m.action
		return v
	}
	v.Sentence += " " + cause
	return v
}

// returned says first that a person ended it; what kept the message until then stays the category.
func (f Failure) returned(v Verdict) Verdict {
	if v.Rule == ruleReturned { // it was not tried, or nothing was said
		return v
	}
	v.Sentence = "A person who runs this system returned the message to its sender. The last attempt: " + v.Sentence
	if strings.HasPrefix(v.Action, "Wait") {
		v.Action = "Ask the operator of this system."
	}
	return v
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// fill replaces the names in a sentence.
func (f Failure) fill(sentence string) string {
	host := or(mail.Escape(f.Host), "the remote server")
	domain := or(mail.Escape(string(f.Domain)), "the recipient's domain")
	recipient := or(mail.Escape(f.Recipient), "of the recipient")
	text := strings.NewReplacer("{host}", host, "{domain}", domain, "{recipient}", recipient).Replace(sentence)
	if strings.HasPrefix(text, "the ") {
		return "T" + text[1:]
	}
	return text
}

// find is the first rule that fits, or -1.
func (c *Classifier) find(f *Failure) int {
	text := words(f.text())
	names := f.names()
	best := len(c.rules)
	for at, word := range text {
		for _, e := range c.byWord[word] {
			if e.rule < best && e.phrase.fits(text, at) && c.rules[e.rule].fitsAll(f, names) {
				best = e.rule
			}
		}
	}
	for _, n := range c.wordless {
		if n < best && c.rules[n].fitsAll(f, names) {
			best = n
			break
		}
	}
	if best == len(c.rules) {
		return -1
	}
	return best
}

// text is what the rules look at: the reply, or our own reason where there is none.
func (f *Failure) text() string {
	if len(f.Lines) == 0 {
		return f.Reason
	}
	return strings.Join(f.Lines, " ")
}

// names are the domains that a rule may ask for.
func (f *Failure) names() []string {
	list := []string{strings.ToLower(strings.TrimSuffix(f.Host, ".")), strings.ToLower(string(f.Domain))}
	if at := strings.LastIndexByte(f.Recipient, '@'); at >= 0 && f.Domain == "" {
		list = append(list, strings.ToLower(f.Recipient[at+1:]))
	}
	return list
}

// listed is where the block list that a reply names tells what it knows of an address; empty: it names none that is known.
func (c *Classifier) listed(f Failure) string {
	text := words(f.text())
	for _, l := range c.lists {
		for _, word := range l.Words {
			if slices.Contains(text, word) {
				return l.Link
			}
		}
	}
	return ""
}

// page is where the provider of the remote host explains its replies.
func (c *Classifier) page(f Failure) string {
	names := f.names()
	for _, p := range c.providers {
		for _, host := range p.Hosts {
			if anyBelow(names, host) {
				return p.Link
			}
		}
	}
	return ""
}
