package main

import (
	"iter"
	"strings"
)

// Exit statuses, by sysexits.h.
const (
	exitDone   = 0
	exitUsage  = 64 // the command line is wrong
	exitInput  = 65 // an address or a message is wrong
	exitFailed = 69 // failed for good
	exitAgain  = 75 // try again later
	exitConfig = 78 // the configuration is wrong
)

// exitError is an error that knows its exit status. A nil err means that all has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// withCode gives err its exit status.
func withCode(code int, err error) error { return &exitError{code, err} }

// quietly ends a command with code, without another word; 0 is success.
func quietly(code int) error {
	if code == exitDone {
		return nil
	}
	return &exitError{code: code}
}

// lines yields the lines of text without their ends.
func lines(text string) iter.Seq[string] {
	return strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n")
}
