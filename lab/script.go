package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sternpost/mail"
)

// mostContent is how many octets a message has at a host with no other limit.
const mostContent = 50 << 20

// script is the part of a behaviour that smtptest does by itself: what does not depend on who asks and how often. The rest is in judge.go.
func (b Behaviour) script(name string, now time.Duration) string {
	held := b.at(now)
	lines := []string{"name " + name, fmt.Sprintf("keep first %d", mostContent)}
	certificate, tls := "valid", true
	offer := keywords()
	offer[slices.Index(offer, "SIZE")] = fmt.Sprintf("SIZE %d", mostContent)
	for _, p := range held {
		switch p.kind {
		case kindTarpit:
			lines = append(lines, fmt.Sprintf("pace %d", p.count))
		case kindSlow:
			for _, verb := range verbs(p.stage) {
				lines = append(lines, fmt.Sprintf("delay %s %v", verb, p.wait))
			}
		case kindSize:
			offer[slices.IndexFunc(offer, isSize)] = fmt.Sprintf("SIZE %d", p.count)
		case kindWithout:
			offer = slices.DeleteFunc(offer, func(k string) bool { return k == p.choice || p.choice == "SIZE" && isSize(k) })
		case kindStartTLS:
			switch p.choice {
			case "absent":
				tls = false
			case "expired", "self-signed":
				certificate = p.choice
			case "wrong name":
				certificate = "wrong-name"
			}
		}
	}
	if tls {
		lines = append(lines, "tls "+certificate)
		offer = append(offer, "STARTTLS")
	}
	if len(offer) == 0 {
		offer = []string{"nothing"}
	}
	return strings.Join(append(lines, "offer "+strings.Join(offer, " / ")), "\n")
}

func isSize(keyword string) bool { return keyword == "SIZE" || strings.HasPrefix(keyword, "SIZE ") }

// verbs are those of smtptest that belong to a stage.
func verbs(stage mail.Stage) []string {
	switch stage {
	case mail.StageGreeting:
		return []string{"banner"}
	case mail.StageHello:
		return []string{"ehlo", "helo"}
	case mail.StageContent:
		return []string{"data", "bdat"}
	case mail.StageData:
		return []string{"data", "bdat"}
	}
	return []string{string(stage)}
}

// steps writes a reply as steps of smtptest. One that ends the session says so.
func (y reply) steps(closes bool) string {
	text := fmt.Sprintf("%d %s %s", y.code, y.status, literal(y.text))
	if closes || y.code == 421 {
		text += " / close"
	}
	return text
}

// literal escapes what smtptest would read as more than text.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, "{", `\x7b`, "/", `\x2f`, "\r", `\r`, "\n", `\n`).Replace(text)
}
