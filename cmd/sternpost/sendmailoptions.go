package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"sternpost/mail"
)

// What sendmail is asked to do.
const (
	modeMessage = iota
	modeSMTP
	modeQueue
	modeAliases
)

// sendmailOptions are the options of a sendmail command line.
type sendmailOptions struct {
	mode       int
	fromHeader bool    // -t
	dots       bool    // a line with only a dot is text
	sender     *string // nil: not named
	fullName   string
	notify     string // as RFC 3461 has them
	ret        string
	envid      string
	verbose    bool
	recipients []string
}

const (
	// withValue are the options whose value is the rest of the argument, or the next one where that is empty.
	withValue = "ABCFLNORVXbfhopr"
	// withRest are those whose value, if they have one, is the rest.
	withRest = "deq"
	// alone are those without a value. They may stand in one argument, as in -ti.
	alone = "GIUcimntvx"
)

// parseSendmail reads options and recipients, in any order up to "--", as the sendmail programs of Postfix and Exim do.
func parseSendmail(args []string) (sendmailOptions, error) {
	var o sendmailOptions
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			o.recipients = append(o.recipients, args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			o.recipients = append(o.recipients, arg)
			continue
		}
		used, err := o.option(arg[1:], args)
		if err != nil {
			return o, err
		}
		args = args[used:]
	}
	if o.mode == modeMessage && !o.fromHeader && len(o.recipients) == 0 {
		return o, errors.New("no recipient: name one, or use -t to take those of the message")
	}
	return o, nil
}

// option reads the letters of one argument. used is how many of the following arguments are values of theirs.
func (o *sendmailOptions) option(letters string, following []string) (used int, err error) {
	for i, letter := range letters {
		rest := letters[i+len(string(letter)):]
		switch {
		case strings.ContainsRune(alone, letter):
			if err := o.flag(letter); err != nil {
				return 0, err
			}
			continue
		case strings.ContainsRune(withRest, letter):
			if letter == 'q' {
				return 0, errors.New("-q: the agent tries its queue by itself; `sternpost queue retry` and `sternpost queue flush` make it hurry")
			}
			return 0, nil
		case !strings.ContainsRune(withValue, letter):
			return 0, fmt.Errorf("there is no option -%s", mail.Escape(string(letter)))
		case rest == "" && len(following) == 0:
			return 0, fmt.Errorf("-%c: a value is missing", letter)
		case rest == "":
			return 1, o.value(letter, following[0])
		}
		return 0, o.value(letter, rest)
	}
	return 0, nil
}

func (o *sendmailOptions) flag(letter rune) error {
	switch letter {
	case 't':
		o.fromHeader = true
	case 'i':
		o.dots = true
	case 'v':
		o.verbose = true
	case 'I':
		o.mode = modeAliases
	}
	return nil // the others say what is so anyway
}

func (o *sendmailOptions) value(letter rune, value string) (err error) {
	switch letter {
	case 'b':
		o.mode, err = sendmailMode(value)
	case 'f', 'r':
		o.sender = &value
	case 'F':
		o.fullName = value
		if strings.ContainsFunc(value, unicode.IsControl) {
			err = errors.New("-F: the name holds a control character")
		}
	case 'N':
		o.notify, err = notifyWish(value)
	case 'R':
		o.ret = strings.ToUpper(value)
		if o.ret != "FULL" && o.ret != "HDRS" {
			err = fmt.Errorf("-R %q: write full or hdrs", value)
		}
	case 'V':
		o.envid = value
		unprintable := func(c rune) bool { return c < ' ' || c > '~' }
		if len(mail.EncodeXtext(value)) > 100 || strings.ContainsFunc(value, unprintable) {
			err = errors.New("-V: write at most 100 printable ASCII characters (RFC 3461 s4.4)")
		}
	case 'C':
		err = errors.New("-C: the configuration file is named by STERNPOST_CONFIG in the environment")
	case 'o':
		o.dots = o.dots || value == "i" || value == "itrue"
		if strings.HasPrefix(value, "M") { // Exim's, with values in arguments of their own, which would be taken for recipients
			err = fmt.Errorf("-o%s is not offered", mail.Escape(value))
		}
	case 'O':
		name, set, _ := strings.Cut(value, "=")
		o.dots = o.dots || strings.EqualFold(name, "IgnoreDots") && !strings.EqualFold(set, "false")
	}
	return err
}

func sendmailMode(value string) (int, error) {
	switch value {
	case "m":
		return modeMessage, nil
	case "s":
		return modeSMTP, nil
	case "p":
		return modeQueue, nil
	case "i":
		return modeAliases, nil
	case "d", "D", "l":
		return 0, fmt.Errorf("-b%s: the agent is started by `sternpost serve`", value)
	}
	return 0, fmt.Errorf("-b%s is not offered", mail.Escape(value))
}

// notifyWish is -N as NOTIFY has it (RFC 3461 s4.1).
func notifyWish(value string) (string, error) {
	wishes := strings.Split(strings.ToUpper(value), ",")
	for i, wish := range wishes {
		wishes[i] = strings.TrimSpace(wish)
		known := slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, wishes[i])
		if !known || wishes[i] == "NEVER" && len(wishes) > 1 {
			return "", fmt.Errorf("-N %q: write never, or any of success,failure,delay", value)
		}
	}
	return strings.Join(wishes, ","), nil
}
