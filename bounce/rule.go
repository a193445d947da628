package bounce

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"sternpost/mail"
)

// Rule recognizes a failure. All conditions that it has must fit, and one text of its texts. The first rule that fits decides.
type Rule struct {
	Name     string   `toml:"name" doc:"A name of your own for the rule; it is shown with the verdict."`
	Category string   `toml:"category" doc:"One of the categories of docs/reading-bounces.md."`
	Text     []string `toml:"text" doc:"Phrases of the reply: words in a row, without regard to case and punctuation. (a|b) is one of several, * up to five other words, ^ the beginning, $ the end. One must fit."`
	Codes    []string `toml:"codes" doc:"Reply codes such as 550 or 4xx; none stands for no reply at all."`
	Status   []string `toml:"status" doc:"Enhanced statuses; x stands for any number, as in x.7.1; none stands for no status, or one that says nothing (x.0.0)."`
	Stages   []string `toml:"stages" doc:"Stages of the delivery, such as rcpt or dot; none stands for an unknown one, as in the reports of others."`
	Domains  []string `toml:"domains" doc:"Domains of the recipient or of the remote host; those below count too."`
	Hard     *bool    `toml:"hard" doc:"Whether the address or the domain is dead. Default: that of the category."`
	Fault    string   `toml:"fault" doc:"Whose fault it is: us, our-reputation, recipient, their-server, their-policy, dns or network. Default: that of the category."`
	Sentence string   `toml:"sentence" doc:"What happened, for a person; {recipient}, {domain} and {host} are replaced. Default: that of the category."`
	Action   string   `toml:"action" doc:"The one thing to do. Default: that of the category."`
	Link     string   `toml:"link" doc:"A page about it (https)."`
	Sample   string   `toml:"sample" doc:"A reply that the rule must recognize, such as 550 5.7.1 Go away; a stage may stand before it (dot 550 5.7.1 Go away)."`
}

// compiled is a rule that was checked.
type compiled struct {
	Rule
	phrases []phrase
	stages  []mail.Stage
	status  []pattern
	hard    bool
	fault   Fault
}

// pattern is a status with x for any number, which is -1.
type pattern [3]int

// noStatus is the pattern "none".
func noStatus() pattern { return pattern{-2, -2, -2} }

func (p pattern) fits(s mail.Status) bool {
	if p == noStatus() {
		return vague(s)
	}
	for i, n := range p {
		if n >= 0 && n != s[i] {
			return false
		}
	}
	return !s.IsZero()
}

// vague is a status that says nothing but its class (RFC 3463 s3.1).
func vague(s mail.Status) bool { return s[1] == 0 }

// check compiles a rule. The errors name its keys.
func (r Rule) check() (compiled, error) {
	c := compiled{Rule: r}
	m, known := meaningOf(Category(r.Category))
	var errs []error
	wrong := func(key, format string, args ...any) { errs = append(errs, fmt.Errorf(key+": "+format, args...)) }
	if r.Name == "" {
		wrong("name", "is missing")
	}
	if !known {
		wrong("category", "%q is none; they are %s", r.Category, join(Categories()))
	}
	if len(r.Text)+len(r.Codes)+len(r.Status)+len(r.Stages)+len(r.Domains) == 0 {
		wrong("text", "is missing, and there is no other condition: the rule would fit everything")
	}
	if r.Fault != "" && !slices.Contains(Faults(), Fault(r.Fault)) {
		wrong("fault", "%q is none; they are %s", r.Fault, join(Faults()))
	}
	if r.Link != "" && !isPage(r.Link) {
		wrong("link", "%q is not the address of a page (https)", r.Link)
	}
	if err := c.compileConditions(); err != nil {
		errs = append(errs, err)
	}
	c.hard, c.fault = m.hard, m.fault
	if r.Hard != nil {
		c.hard = *r.Hard
	}
	if r.Fault != "" {
		c.fault = Fault(r.Fault)
	}
	return c, errors.Join(errs...)
}

func (c *compiled) compileConditions() error {
	var errs []error
	for _, written := range c.Text {
		p, err := compile(written)
		if err != nil {
			errs = append(errs, fmt.Errorf("text: %q %w", written, err))
		}
		c.phrases = append(c.phrases, p)
	}
	for _, code := range c.Codes {
		if !isCode(code) {
			errs = append(errs, fmt.Errorf("codes: %q is not a code such as 550, 55x or 4xx, nor none", code))
		}
	}
	for _, written := range c.Status {
		p, err := parsePattern(written)
		if err != nil {
			errs = append(errs, fmt.Errorf("status: %w", err))
		}
		c.status = append(c.status, p)
	}
	for _, stage := range c.Stages {
		if stage == "none" {
			stage = ""
		} else if !slices.Contains(mail.Stages(), mail.Stage(stage)) {
			errs = append(errs, fmt.Errorf("stages: %q is none; they are %s, and none", stage, join(mail.Stages())))
		}
		c.stages = append(c.stages, mail.Stage(stage))
	}
	return errors.Join(errs...)
}

func isPage(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

func isCode(code string) bool {
	if code == "none" {
		return true
	}
	if len(code) != 3 || code[0] < '2' || code[0] > '5' {
		return false
	}
	return strings.Trim(code[1:], "0123456789x") == ""
}

func parsePattern(written string) (pattern, error) {
	if written == "none" {
		return noStatus(), nil
	}
	parts := strings.Split(written, ".")
	if len(parts) != 3 {
		return pattern{}, fmt.Errorf("%q is not a status such as 5.7.1 or x.7.x, nor none", written)
	}
	var p pattern
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 10)
		switch {
		case part == "x":
			p[i] = -1
		case err != nil:
			return pattern{}, fmt.Errorf("%q is not a status such as 5.7.1 or x.7.x, nor none", written)
		default:
			p[i] = int(n)
		}
	}
	return p, nil
}

func join[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, text := range list {
		texts[i] = string(text)
	}
	return strings.Join(texts, ", ")
}

// fitsAll says whether the conditions besides the text fit.
func (c *compiled) fitsAll(f *Failure, names []string) bool {
	return fitsCode(c.Codes, f) &&
		(len(c.status) == 0 || slices.ContainsFunc(c.status, func(p pattern) bool { return p.fits(f.Status) || p == noStatus() && f.Status.IsZero() })) &&
		(len(c.stages) == 0 || slices.Contains(c.stages, f.Stage)) &&
		(len(c.Domains) == 0 || slices.ContainsFunc(c.Domains, func(domain string) bool { return anyBelow(names, domain) }))
}

// fitsCode takes none for what nobody answered: the words of a foreign agent may have been an answer.
func fitsCode(codes []string, f *Failure) bool {
	if len(codes) == 0 {
		return true
	}
	text := strconv.Itoa(f.Code)
	for _, wanted := range codes {
		if wanted == "none" && f.Code == 0 && len(f.Lines) == 0 || len(text) == 3 && wanted != "none" && fitsDigits(wanted, text) {
			return true
		}
	}
	return false
}

func fitsDigits(wanted, code string) bool {
	for i := range 3 {
		if wanted[i] != 'x' && wanted[i] != code[i] {
			return false
		}
	}
	return true
}

// anyBelow says whether one of names is domain or below it. Names are in lower case.
func anyBelow(names []string, domain string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		before, found := strings.CutSuffix(name, domain)
		return found && (before == "" || strings.HasSuffix(before, "."))
	})
}
