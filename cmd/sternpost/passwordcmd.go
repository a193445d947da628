package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"sternpost/submission"
)

type configPasswordCommand struct{}

func (configPasswordCommand) Help() string {
	return `Reads a password from standard input, one line, and prints its argon2id hash, which submission.users wants. On a terminal it is asked for twice and not shown.

Example:

    sternpost config password
    echo "$PASSWORD" | sternpost config password`
}

func (configPasswordCommand) Run(sh *shell) error {
	password, err := askPassword(sh)
	if err != nil {
		return withCode(exitInput, err)
	}
	hash, err := submission.HashPassword(password)
	if err != nil {
		return withCode(exitInput, err)
	}
	if sh.json {
		return printJSON(sh.stdout, struct {
			Password string `json:"password"`
		}{hash})
	}
	_, err = fmt.Fprintln(sh.stdout, hash)
	return err
}

// askPassword reads a password: a line, or what somebody types twice without seeing it.
func askPassword(sh *shell) (string, error) {
	if !isTerminal(sh.stdin) {
		line, err := bufio.NewReader(io.LimitReader(sh.stdin, 64<<10)).ReadString('\n')
		if err != nil && err != io.EOF {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := askHidden(sh, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := askHidden(sh, "Again: ")
	if err == nil && first != second {
		err = errors.New("the two are not the same")
	}
	return first, err
}

func askHidden(sh *shell, prompt string) (string, error) {
	file, ok := sh.stdin.(*os.File)
	if !ok {
		return "", errors.New("standard input is no file") // not reached: it is a terminal
	}
	fmt.Fprint(sh.stderr, prompt)
	typed, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(sh.stderr)
	return string(typed), err
}
