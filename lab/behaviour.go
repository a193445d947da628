package lab

import (
	"fmt"
	"slices"
	"time"

	"sternpost/mail"
)

// Behaviour is how a host behaves: phrases, of which the first that fits a moment counts. The empty one takes everything.
type Behaviour []Phrase

// ParseBehaviour reads the phrases and refuses those that contradict each other, or that could never come to act because of another.
func ParseBehaviour(texts []string) (Behaviour, error) {
	var b Behaviour
	for _, text := range texts {
		p, err := ParsePhrase(text)
		if err != nil {
			return nil, err
		}
		for _, earlier := range b {
			if err := conflict(earlier, p); err != nil {
				return nil, err
			}
		}
		b = append(b, p)
	}
	return b, nil
}

// conflict says why two phrases cannot stand together; a comes before b.
func conflict(a, b Phrase) error {
	if !a.Window.overlaps(b.Window) {
		return nil
	}
	if a.kind == kindUp || b.kind == kindUp {
		return fmt.Errorf("%q and %q: a host that is up has no other behaviour at that time", a.Text, b.Text)
	}
	for _, slot := range a.slots() {
		if slices.Contains(b.slots(), slot) {
			return fmt.Errorf("%q and %q contradict each other", a.Text, b.Text)
		}
	}
	for _, pair := range [][2]Phrase{{a, b}, {b, a}} {
		if first, second := pair[0], pair[1]; first.bars(second, first.Text == a.Text) && first.Window.contains(second.Window) {
			return fmt.Errorf("%q never comes to act, because of %q", second.Text, first.Text)
		}
	}
	return nil
}

// slots are the places of which each can be taken by one phrase at a time.
func (p Phrase) slots() []string {
	switch p.kind {
	case kindRefused, kindTimeout:
		return []string{"reach"}
	case kindSilent, kindEndlessBanner, kindEndlessLine:
		return []string{"greeting"}
	case kindGreylist:
		return []string{"greylist"}
	case kindLimit:
		return []string{fmt.Sprint("limit per ", p.wait)}
	case kindTarpit:
		return []string{"tarpit"}
	case kindSize:
		return []string{"size", "SIZE"}
	case kindWithout:
		return []string{p.choice}
	case kindSlow:
		return []string{"slow " + string(p.stage)}
	case kindStartTLS:
		return p.startTLSSlots()
	case kindReply, kindDrop, kindReset:
		return p.replySlots()
	}
	return nil
}

// startTLSSlots: what is required can have any certificate, but it must be there.
func (p Phrase) startTLSSlots() []string {
	switch p.choice {
	case "required":
		return []string{"required"}
	case "absent":
		return []string{"starttls", "required"}
	}
	return []string{"starttls"}
}

func (p Phrase) replySlots() []string {
	switch {
	case !p.who.all():
		return nil
	case p.stage == mail.StageGreeting:
		return []string{"greeting"}
	case p.stage == mail.StageStartTLS:
		return []string{"starttls"}
	}
	return []string{"reply at " + string(p.stage)}
}

// bars says whether nobody gets past p to where q acts; before says that p comes before q in the list.
func (p Phrase) bars(q Phrase, before bool) bool {
	switch p.kind {
	case kindRefused, kindTimeout:
		return true
	case kindSilent, kindEndlessBanner, kindEndlessLine:
		return q.place() > p.place() || q.kind != kindTarpit && q.kind != kindSlow && q.place() == p.place()
	case kindReply, kindDrop, kindReset:
		if !p.who.all() || p.stage == mail.StageStartTLS {
			return false
		}
		return q.place() > p.place() || before && q.place() == p.place() && q.kind != kindTarpit && q.kind != kindSlow
	}
	return false
}

// place is where in a session the phrase acts.
func (p Phrase) place() int {
	if p.kind == kindRefused || p.kind == kindTimeout {
		return slices.Index(mail.Stages(), mail.StageConnect)
	}
	return slices.Index(mail.Stages(), p.stage)
}

// Reach is whether a host can be reached.
type Reach string

// The kinds of reach.
const (
	ReachUp      Reach = "up"      // connections are taken
	ReachRefused Reach = "refused" // nobody listens: connections are refused at once
	ReachTimeout Reach = "timeout" // connections are never established: what is sent to the port is dropped
)

// reach is what a connection meets at a time since the start.
func (b Behaviour) reach(at time.Duration) Reach {
	for _, p := range b {
		if p.Window.holds(at) {
			switch p.kind {
			case kindRefused:
				return ReachRefused
			case kindTimeout:
				return ReachTimeout
			}
		}
	}
	return ReachUp
}

// borders are the times at which something begins or ends, in order.
func (b Behaviour) borders() []time.Duration { return borders(b.windows()) }

// windows are those of the phrases.
func (b Behaviour) windows() []Window {
	var all []Window
	for _, p := range b {
		all = append(all, p.Window)
	}
	return all
}

// at returns the phrases that hold.
func (b Behaviour) at(now time.Duration) Behaviour {
	var held Behaviour
	for _, p := range b {
		if p.Window.holds(now) {
			held = append(held, p)
		}
	}
	return held
}

// Strings returns the phrases as the scenario has them; "up" for none.
func (b Behaviour) Strings() []string {
	if len(b) == 0 {
		return []string{"up"}
	}
	var texts []string
	for _, p := range b {
		texts = append(texts, p.Text)
	}
	return texts
}
