package main

import (
	"fmt"

	"sternpost/mail"
	"sternpost/queue/spool"
)

type queueVerifyCommand struct{}

func (queueVerifyCommand) Help() string {
	return `Reads all of the store in queue.directory and changes nothing. It names what is damaged, the
messages that are missing because of it, and what does not fit together. No
agent may run on it.

Exit status: 0 all is well, 69 something is damaged, 75 it cannot be looked at,
above all because an agent runs on it.

Example:

    sternpost queue verify`
}

// verified is the JSON of queue verify.
type verified struct {
	OK       bool      `json:"ok"`
	Problems []damaged `json:"problems"`
}

// damaged is one thing that is wrong in a store.
type damaged struct {
	ID   string `json:"id"`
	What string `json:"what"`
}

func (queueVerifyCommand) Run(sh *shell) error {
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	bar := startProgress(sh.stderr, "reading "+c.Queue.Directory, -1)
	found, err := spool.VerifyDirectory(c.Queue.Directory)
	bar.done()
	if err != nil {
		return withCode(exitAgain, err)
	}
	told := verified{OK: len(found) == 0, Problems: []damaged{}}
	for _, problem := range found {
		one := damaged{What: problem.What}
		if problem.Message != 0 {
			one.ID = problem.Message.String()
		}
		told.Problems = append(told.Problems, one)
	}
	if err := told.print(sh); err != nil || told.OK {
		return err
	}
	return quietly(exitFailed)
}

func (v verified) print(sh *shell) error {
	if sh.json {
		return printJSON(sh.stdout, v)
	}
	for _, damage := range v.Problems {
		line := mail.Escape(damage.What)
		if damage.ID != "" {
			line = "message " + damage.ID + ": " + line
		}
		if _, err := fmt.Fprintln(sh.stdout, line); err != nil {
			return err
		}
	}
	if v.OK {
		_, err := fmt.Fprintln(sh.stdout, "ok")
		return err
	}
	return nil
}
