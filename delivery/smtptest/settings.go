package smtptest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// setting reads a line that holds for the whole server.
func (p *parser) setting(word, rest string) error {
	s := &p.script.settings
	args := strings.Fields(rest)
	switch word {
	case "name":
		return oneWord(word, args, &s.name)
	case "line-end":
		return choice(word, rest, map[string]func(){
			"lf":   func() { s.lineEnd = "\n" },
			"crlf": func() { s.lineEnd = "\r\n" },
		})
	case "flush":
		return choice(word, rest, map[string]func(){
			"each":    func() { s.flushEach = true },
			"drained": func() { s.flushEach = false },
		})
	case "keep":
		if len(args) == 2 && args[0] == "first" {
			return s.keepFirst(args[1])
		}
		return choice(word, rest, map[string]func(){
			"wire":       func() { s.keepWire = true },
			"no-content": func() { s.dropContent = true },
		})
	case "pace":
		return s.setPace(args)
	case "delay":
		return s.setDelay(args)
	case "tls":
		return s.tls(args)
	case "implicit-tls":
		s.implicitTLS = true
		return s.tls(args)
	case "credentials":
		return s.credential(args)
	}
	return fmt.Errorf("unknown verb %q", word)
}

func (s *settings) keepFirst(octets string) (err error) {
	if s.mostContent, err = parseCount(octets); err == nil && s.mostContent == 0 {
		err = fmt.Errorf("keep first keeps at least one octet; there is keep no-content")
	}
	return err
}

func oneWord(word string, args []string, into *string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one word", word)
	}
	*into = args[0]
	return nil
}

func choice(word, chosen string, choices map[string]func()) error {
	set, ok := choices[chosen]
	if !ok {
		return fmt.Errorf("%s knows no %q", word, chosen)
	}
	set()
	return nil
}

// tls reads the kind of certificate and the names it is for.
func (s *settings) tls(args []string) error {
	if len(args) == 0 {
		args = []string{string(Valid)}
	}
	kind := Certificate(args[0])
	switch kind {
	case Valid, Expired, WrongName, SelfSigned:
	default:
		return fmt.Errorf("no certificate is %q; they are valid, expired, wrong-name and self-signed", args[0])
	}
	s.certificate, s.names, s.offersTLS = kind, args[1:], true
	return nil
}

func (s *settings) credential(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("credentials takes a user and a secret")
	}
	user, err := unescape(args[0])
	if err != nil {
		return err
	}
	s.credentials[user], err = unescape(args[1])
	return err
}

// setPace reads how many octets a second the replies have.
func (s *settings) setPace(args []string) error {
	if len(args) == 1 {
		if n, err := strconv.Atoi(args[0]); err == nil && n > 0 && n <= 1_000_000 {
			s.pace = time.Second / time.Duration(n)
			return nil
		}
	}
	return fmt.Errorf("pace takes the octets of replies in a second, 1 to 1000000")
}

// setDelay reads a verb and how long its replies wait.
func (s *settings) setDelay(args []string) error {
	if len(args) != 2 || !isVerb(args[0]) || args[0] == "offer" {
		return fmt.Errorf("delay takes a verb and a duration")
	}
	wait, err := timed(sleepFor, args[1])
	s.delays[args[0]] = wait.wait
	return err
}
