package delivery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"sternpost/mail"
)

// Mask makes one host, or one address family, look broken before anything is dialled, on the live code path. So a
// backup MX is tested without touching DNS or a firewall.
type Mask struct {
	text  string
	host  string // a host name, or
	v4    bool   // every IPv4 address, or
	v6    bool   // every IPv6 address
	event event
}

// ParseMask reads "HOST=down", "HOST=timeout", "HOST=CODE" and "HOST=CODE@STAGE" (the stage is rcpt unless given), and
// "ipv4=down" and "ipv6=down".
func ParseMask(text string) (Mask, error) {
	target, effect, found := strings.Cut(text, "=")
	if !found || target == "" {
		return Mask{}, fmt.Errorf("pretend %q: write HOST=down, HOST=timeout, HOST=CODE or HOST=CODE@STAGE", text)
	}
	m := Mask{text: text}
	switch strings.ToLower(target) {
	case "ipv4":
		m.v4 = true
	case "ipv6":
		m.v6 = true
	default:
		host, err := mail.ParseDomain(target)
		if ip, literal := netip.ParseAddr(target); literal == nil {
			host, err = mail.Domain(ip.String()), nil
		}
		if err != nil {
			return Mask{}, fmt.Errorf("pretend %q: %w", text, err)
		}
		m.host = string(host)
	}
	e, err := parseEffect(effect)
	if err == nil && m.host == "" && effect != "down" {
		err = errors.New("an address family can only be down")
	}
	if err != nil {
		return Mask{}, fmt.Errorf("pretend %q: %w", text, err)
	}
	m.event = e
	return m, nil
}

func parseEffect(effect string) (event, error) {
	switch effect {
	case "down":
		return event{stage: mail.StageConnect, cause: causeRefused, err: syscall.ECONNREFUSED}, nil
	case "timeout":
		return event{stage: mail.StageConnect, cause: causeTimeout}, nil
	}
	number, stage, staged := strings.Cut(effect, "@")
	if !staged {
		stage = string(mail.StageRcpt)
	}
	code, err := strconv.Atoi(number)
	if err != nil || code < 400 || code > 599 {
		return event{}, fmt.Errorf("%q is not down, timeout or a code from 400 to 599", number)
	}
	if !slices.Contains(replyStages(), mail.Stage(stage)) {
		return event{}, fmt.Errorf("%q is not a stage with a reply: %v", stage, replyStages())
	}
	line := fmt.Sprintf("%d %d.0.0 pretended", code, code/100)
	return event{stage: mail.Stage(stage), cause: causeReply, reply: mail.Reply{Code: code, Lines: []string{line}}}, nil
}

// replyStages are the stages that a remote can refuse at.
func replyStages() []mail.Stage {
	return []mail.Stage{
		mail.StageGreeting, mail.StageHello, mail.StageStartTLS, mail.StageAuth, mail.StageMail, mail.StageRcpt,
		mail.StageData, mail.StageDot,
	}
}

// String is the mask as it was written.
func (m Mask) String() string { return m.text }

// covers says whether m is about this host and address.
func (m Mask) covers(host string, ip netip.Addr) bool {
	switch {
	case m.v4:
		return ip.Is4()
	case m.v6:
		return ip.Is6()
	default:
		return m.host == host || m.host == ip.String()
	}
}

// Missed says that m is about a host which is none of those of the attempts, as after a typing mistake: nothing was pretended of it.
func (m Mask) Missed(attempts []mail.Attempt) bool {
	hosts := 0
	for _, a := range attempts {
		for _, c := range a.Candidates {
			if m.host == "" || m.covers(c.Host, c.Address) {
				return false
			}
			hosts++
		}
	}
	return hosts > 0
}

// findMask returns the first mask that covers the address, or nil.
func findMask(masks []Mask, host string, ip netip.Addr) *Mask {
	i := slices.IndexFunc(masks, func(m Mask) bool { return m.covers(host, ip) })
	if i < 0 {
		return nil
	}
	return &masks[i]
}
