package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/mail"
)

// mostAnswers is of how many recipients the first lines of a story tell: all are told of below.
const mostAnswers = 3

// nobodyText is what is wrong with a dead destination.
const nobodyText = "no host could be reached, or would talk to us"

// answers are the first lines of the story of a message: what became of it for each recipient, or what comes next.
func (y whyStory) answers() {
	list, more := y.told.Standing, 0
	if len(list) > mostAnswers {
		fmt.Fprintf(y.w, "%s: %s\n", count(len(list), "recipient"), states(list))
		list = slices.DeleteFunc(slices.Clone(list), func(s console.Standing) bool { return s.State == "delivered" })
		more = max(0, len(list)-mostAnswers)
		list = list[:len(list)-more]
	}
	for _, s := range list {
		word, colour, text := y.answer(s)
		y.say(word, colour, text)
		if s.State != "delivered" && s.Advice != "" {
			fmt.Fprintf(y.w, "  %s\n", wrapAfter("To do: "+plain(s.Advice), " ", columns-2, "  "))
		}
	}
	if more > 0 {
		fmt.Fprintf(y.w, "And %d more: see \"How it stands\" below.\n", more)
	}
}

// states counts recipients by where they stand.
func states(list []console.Standing) string {
	var parts []string
	for _, state := range []string{"failed", "held", "pending", "removed", "delivered"} {
		n, word := 0, strings.Replace(state, "pending", "waiting", 1)
		for _, s := range list {
			if s.State == state {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	return strings.Join(parts, ", ")
}

// say prints a word in its colour, and a text behind it, broken at 80 columns.
func (y whyStory) say(word string, colour func(string) string, text string) {
	visible := strings.Repeat("x", len(word)) // colours take no column
	broken := wrapAfter(visible+plain(text), " ", columns, "  ")
	fmt.Fprintf(y.w, "%s%s\n", y.paint.bold(colour(word)), broken[len(visible):])
}

// answer is where a recipient stands, in one sentence or two.
func (y whyStory) answer(s console.Standing) (word string, colour func(string) string, text string) {
	to := mail.Escape(s.Recipient)
	switch s.State {
	case "delivered":
		if h := s.Handover; h != nil && h.Host != "" {
			return "Delivered", y.paint.good, " to " + to + " " + ageOf(&h.At, y.now) + " ago: " + mail.Escape(h.Host) + " took it."
		}
		return "Delivered", y.paint.good, " to " + to + "."
	case "failed":
		return "Failed", y.paint.bad, " for " + to + ". " + sentence(s.Verdict)
	case "held":
		if s.Sentence != "" {
			return "Held", y.paint.wait, " for " + to + " until somebody releases it. " + s.Sentence
		}
		return "Held", y.paint.wait, " for " + to + " until somebody releases it."
	case "removed":
		return "Removed", y.paint.wait, " for " + to + ": a person took it out of the queue."
	case "pending":
		return "Waiting", y.paint.wait, " for " + to + ". " + y.next(s)
	}
	return s.State, y.paint.bad, " for " + to + "."
}

// sentence is what a failure means; something is said of each.
func sentence(v console.Verdict) string {
	if v.Sentence == "" {
		return "It is not known why."
	}
	return v.Sentence
}

// next is what keeps a message, and when it is tried next.
func (y whyStory) next(s console.Standing) string {
	switch {
	case s.Next != nil && s.Next.After(y.now):
		return strings.TrimLeft(s.Sentence+" The next try is in "+untilThen(s.Next, y.now)+".", " ")
	case s.Next == nil && s.GivesUp != nil && strings.HasPrefix(s.NextReason, "its lifetime ends"):
		return s.Sentence + " There is no other try before its lifetime ends, in " + untilThen(s.GivesUp, y.now) + "."
	}
	return strings.TrimLeft(s.Sentence+" It is being tried, or is about to be.", " ")
}

// alarms prints why more attempts cannot help, where the answers have not said it.
func (y whyStory) alarms() {
	var b strings.Builder
	for _, a := range y.told.Alarms {
		if !slices.ContainsFunc(y.told.Standing, func(s console.Standing) bool { return s.Sentence == a.Sentence }) {
			y.paint.alarm(&b, a)
		}
	}
	fmt.Fprint(y.w, b.String())
}

// answerPlace are the first lines about an address or a domain: whether mail waits, and whether more can go there.
func (y whyStory) answerPlace() {
	subject := mail.Escape(y.told.Subject)
	if s := y.told.Suppression; s != nil && s.Suppressed {
		text := ": mail to it is refused when it is handed in"
		if s.Since != nil {
			text += ", since " + s.Since.UTC().Format("2006-01-02")
		}
		y.say("Suppressed", y.paint.bad, text+". `sternpost suppression remove "+subject+"` ends that.")
	}
	p, n := y.here(), y.waits()
	switch {
	case n == 0 && p.Plan != nil && len(p.Plan.Outcomes) > 0:
		y.say("No mail can go", y.paint.bad, " to "+subject+" now: "+p.Plan.Outcomes[0].Reason+".")
		if !strings.Contains(subject, ".") {
			fmt.Fprintln(y.w, "  (The id of a message would have 13 letters and digits.)")
		}
	case n == 0:
		y.say("Nothing waits", y.paint.good, " for "+subject+"."+wouldGo(p))
	case p.Queued != nil && p.Queued.Health == console.HealthDead:
		y.say(y.messagesWait(n), y.paint.wait, " for "+subject+": "+nobodyText+"."+nextProbe(*p.Queued, y.now))
	case p.Queued != nil && n == p.Queued.Held:
		y.say(count(n, "message")+" held", y.paint.wait, " for "+subject+", until somebody releases what is held."+y.lately())
	default:
		y.say(y.messagesWait(n), y.paint.wait, " for "+subject+"."+y.lately())
	}
}

// nextProbe is when a dead destination is tried next, where that is known.
func nextProbe(d console.Destination, now time.Time) string {
	if next := nextTry(d, now); next != "-" {
		return " Next: " + next + "."
	}
	return ""
}

// here is what is known of the domain that is asked about.
func (y whyStory) here() console.Prospect {
	if len(y.told.Destinations) == 0 {
		return console.Prospect{}
	}
	return y.told.Destinations[0]
}

// waits is how many messages wait for what is asked about, as far as that is known.
func (y whyStory) waits() int {
	if p := y.here(); y.told.About == console.WhyDomain && p.Queued != nil {
		return p.Queued.Messages
	}
	return len(y.told.Waiting)
}

func (y whyStory) messagesWait(n int) string {
	switch {
	case y.told.MoreWaiting && n == len(y.told.Waiting):
		return fmt.Sprintf("%d messages and more wait", n)
	case n == 1:
		return "1 message waits"
	}
	return fmt.Sprintf("%d messages wait", n)
}

// lately is what the last attempt that took nothing came to.
func (y whyStory) lately() string {
	if n := len(y.told.Events); n > 0 && y.told.Events[n-1].Sentence != "" {
		return " " + y.told.Events[n-1].Sentence
	}
	return ""
}

// wouldGo is where mail would go now.
func wouldGo(p console.Prospect) string {
	if p.Plan == nil {
		return ""
	}
	for _, c := range p.Plan.Candidates {
		if c.Verdict != mail.VerdictSkipped {
			return " Mail would go to " + plain(c.Host) + "."
		}
	}
	return ""
}
