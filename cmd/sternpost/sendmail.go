package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
)

// calledAs is the program that this binary is under a name, such as that of a link. Applications know sendmail and its relatives.
func calledAs(name string) func([]string, *shell) int {
	switch name {
	case "sendmail":
		return sendmail
	case "mailq":
		return mailq
	case "newaliases":
		return newaliases
	}
	return run
}

const sendmailHelp = `Usage: sendmail [OPTION ...] [RECIPIENT ...] < MESSAGE

Hands a message to the Sternpost agent on this machine. Exit status 0 means that it would survive a power cut, 75 that the agent does not answer or refuses for now.

  -t             the recipients are those of To, Cc and Bcc (besides those of the command line); of the
                 Resent- fields where there are any
  -i, -oi        a line with only a dot is text; without it, such a line ends the message
  -f, -r SENDER  where reports about failures go; -f '' is the null reverse-path
  -F NAME        the full name in a From field that is added
  -N WHEN        reports: never, or any of success,failure,delay
  -R full|hdrs   what reports return         -V ID   the envelope id that they quote
  -bs            SMTP on standard input and output
  -bp            list the queue, as mailq does
  -v             print what the agent says
  -bm, -m, -n, -G, -U, -A, -B, -L, -O, -X, -d, -e, -h, -o, -p, -x  are accepted and change nothing, but for -O IgnoreDots

Examples:

    sendmail -t -i < message.eml
    sendmail -i -f shop@example.com -- you@example.org < message.eml
    (echo "Subject: backup"; echo; backup) | sendmail root
`

// sendmail is what applications call to send mail.
func sendmail(args []string, sh *shell) int {
	sh.configFile = fileOfEnvironment(sh.environ)
	if len(args) == 1 && args[0] == "--help" {
		_, err := io.WriteString(sh.stdout, sendmailHelp)
		return report(sh.stderr, err)
	}
	o, err := parseSendmail(args)
	if err != nil {
		return report(sh.stderr, withCode(exitUsage, fmt.Errorf("%w\nTry: sendmail --help", err)))
	}
	switch o.mode {
	case modeSMTP:
		return report(sh.stderr, pipeSMTP(sh))
	case modeQueue:
		return mailq(nil, sh)
	case modeAliases:
		return newaliases(nil, sh)
	}
	return report(sh.stderr, o.submit(sh))
}

// fileOfEnvironment is the configuration file that the environment names. Flags of ours would be taken for those of sendmail.
func fileOfEnvironment(environ []string) string {
	for _, entry := range environ {
		if file, ok := strings.CutPrefix(entry, "STERNPOST_CONFIG="); ok {
			return file
		}
	}
	return ""
}

// submit hands the message on standard input to the agent.
func (o sendmailOptions) submit(sh *shell) error {
	w := wanted{sender: o.sender, recipients: o.recipients, fromHeader: o.fromHeader, fullName: o.fullName}
	return interruptible(sh.ctx, func(p *pointOfNoReturn) error {
		l, err := w.read(newText(sh.stdin, !o.dots))
		if err != nil {
			return err
		}
		defer l.Close()
		l.notify, l.ret, l.envid = o.notify, o.ret, o.envid
		said, err := submitLetter(sh, l, p)
		if err == nil && o.verbose {
			_, unprinted := fmt.Fprintln(sh.stdout, plain(said))
			tellTaken(sh, unprinted)
		}
		return err
	})
}

// mailq lists the queue. What its flags say elsewhere has no meaning here.
func mailq(_ []string, sh *shell) int { return run([]string{"queue", "list"}, sh) }

// newaliases is called by installers and by people who have changed a file of aliases.
func newaliases(_ []string, sh *shell) int {
	_, err := fmt.Fprintln(sh.stdout, "Sternpost has its aliases in its configuration, under [aliases]: there is nothing to be made of them.")
	return report(sh.stderr, err)
}

// pipeSMTP is SMTP on standard input and output: what the program says goes to the agent as it is, and back. The end of the one side is told to the other.
func pipeSMTP(sh *shell) error {
	door, err := findDoor(sh)
	if err != nil {
		return err
	}
	conn, err := door.dial(sh.ctx)
	if err != nil {
		_, _ = io.WriteString(sh.stdout, "421 4.3.2 the agent does not answer\r\n") // for a program that reads replies only
		return err
	}
	defer conn.Close()
	var ended atomic.Bool // the program has said all
	go func() {
		_, _ = io.Copy(conn, sh.stdin) // an agent that is gone shows below
		ended.Store(true)
		_ = conn.CloseWrite()
	}()
	var last lastLine
	_, err = io.Copy(io.MultiWriter(sh.stdout, &last), conn)
	if ended.Load() || last.isGoodbye() {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return silent(err)
}

// lastLine remembers the begin of the last line that was written.
type lastLine struct {
	line     [4]byte
	size     int
	complete bool
}

// Write never fails.
func (l *lastLine) Write(p []byte) (int, error) {
	for part := range bytes.SplitAfterSeq(p, []byte("\n")) {
		if len(part) == 0 {
			continue
		}
		if l.complete {
			l.size = 0
		}
		l.size += copy(l.line[l.size:], part)
		l.complete = part[len(part)-1] == '\n'
	}
	return len(p), nil
}

// isGoodbye says whether it was the reply to QUIT (RFC 5321 s4.1.1.10).
func (l *lastLine) isGoodbye() bool { return string(l.line[:l.size]) == "221 " }
