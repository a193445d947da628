package submission

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sternpost/mail"
)

const (
	// maxAliasDepth is how many aliases may lead to one another.
	maxAliasDepth = 10
	// maxAliased is how many addresses one alias may stand for.
	maxAliased = 1000
)

// Aliases is the section [aliases] of the configuration: what stands for what. A name is a local-part, which is meant at submission.domain and at our own name, or a whole
// address; the case of letters does not count. What it stands for may have aliases in turn.
type Aliases map[string]Addresses

// Addresses is one address or a list of them.
type Addresses []string

// UnmarshalTOML reads a text or a list of texts.
func (a *Addresses) UnmarshalTOML(value any) error {
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	*a = nil
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			return errors.New("an alias stands for an address or a list of addresses")
		}
		*a = append(*a, text)
	}
	return nil
}

// Check finds aliases that cannot work, all of them at once. The errors name their keys. domain is submission.domain; empty: our own name, which is not known here.
func (a Aliases) Check(domain string) error {
	at, err := mail.ParseDomain(domain)
	if err != nil { // our own name, or a mistake that Config.Check tells
		at = "localhost"
	}
	_, err = a.compile(at, at)
	return err
}

// aliases are Aliases with all that they lead to. The local-parts of their names are in lower case.
type aliases map[mail.Address][]mail.Address

// folded is the name under which a is found.
func folded(a mail.Address) mail.Address {
	a.Local = strings.ToLower(a.Local)
	return a
}

// of is what a stands for; nil: for itself.
func (s aliases) of(a mail.Address) []mail.Address {
	if len(s) == 0 {
		return nil
	}
	return s[folded(a)]
}

// compile finds what each alias stands for in the end. A local-part stands at domain, and as a name also at hostname, unless that has an alias of its own.
func (a Aliases) compile(domain, hostname mail.Domain) (aliases, error) {
	e := follower{next: aliases{}, ends: aliases{}, depth: map[mail.Address]int{}}
	keys := map[mail.Address]string{}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(a)) {
		name, targets, err := a.parse(key, domain)
		if other, twice := keys[name]; err == nil && twice {
			err = fmt.Errorf("is the same as %s", other)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("aliases.%s: %w", key, err))
			continue
		}
		keys[name], e.next[name] = key, targets
	}
	for name, key := range keys {
		ours := mail.Address{Local: name.Local, Domain: hostname}
		if _, own := e.next[ours]; !own && !strings.Contains(key, "@") {
			e.next[ours] = e.next[name]
		}
	}
	for name, key := range keys {
		if _, err := e.expand(name, nil); err != nil {
			errs = append(errs, fmt.Errorf("aliases.%s: %w", key, err))
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
		return nil, errors.Join(errs...)
	}
	return e.all()
}

// parse reads an alias: its name, and what stands beside it.
func (a Aliases) parse(key string, domain mail.Domain) (name mail.Address, targets []mail.Address, err error) {
	if name, err = completed(key, domain); err != nil {
		return name, nil, err
	}
	if len(a[key]) == 0 {
		return name, nil, errors.New("stands for nobody")
	}
	for _, text := range a[key] {
		if strings.ContainsAny(text[:min(len(text), 1)], "|/:") {
			return name, nil, fmt.Errorf("stands for %q, and mail is not given to programs and files", text)
		}
		target, err := completed(text, domain)
		if err != nil {
			return name, nil, err
		}
		targets = append(targets, target)
	}
	return folded(name), targets, nil
}

// completed reads an address, or a local-part alone, which is at domain.
func completed(text string, domain mail.Domain) (mail.Address, error) {
	a, err := parseMailbox(text)
	if err != nil {
		return a, err
	}
	return complete(a, domain)
}

// complete gives an address that has no domain this one. The error says that it is too long then.
func complete(a mail.Address, domain mail.Domain) (mail.Address, error) {
	if a.Domain != "" || a.IsZero() {
		return a, nil
	}
	return mail.ParseAddress(mail.Address{Local: a.Local, Domain: domain}.String())
}

// follower follows aliases to their ends.
type follower struct {
	next  aliases              // what stands beside each name
	ends  aliases              // what is known so far
	depth map[mail.Address]int // how many aliases lead there
}

// expand is what name stands for in the end, where path led to it. An alias that names itself means the mailbox itself: otherwise nothing could go there.
func (e *follower) expand(name mail.Address, path []mail.Address) ([]mail.Address, error) {
	if ends, known := e.ends[name]; known {
		return ends, nil
	}
	if slices.Contains(path, name) {
		return nil, fmt.Errorf("leads back to itself by way of %s", path[len(path)-1])
	}
	path = append(path, name)
	var ends []mail.Address
	depth := 0
	for _, target := range e.next[name] {
		inner := []mail.Address{target}
		if further := folded(target); e.next[further] != nil && further != name {
			var err error
			if inner, err = e.expand(further, path); err != nil {
				return nil, err
			}
			depth = max(depth, e.depth[further])
		}
		ends = append(ends, inner...)
		if len(ends) > maxAliased {
			return nil, fmt.Errorf("stands for more than %d addresses", maxAliased)
		}
	}
	if depth >= maxAliasDepth {
		return nil, fmt.Errorf("leads through more than %d aliases", maxAliasDepth)
	}
	e.ends[name], e.depth[name] = ends, depth+1
	return ends, nil
}

// all follows what is not known yet.
func (e *follower) all() (aliases, error) {
	for name := range e.next {
		if _, err := e.expand(name, nil); err != nil {
			return nil, fmt.Errorf("aliases.%s: %w", name, err)
		}
	}
	return e.ends, nil
}
