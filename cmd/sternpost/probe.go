package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"sternpost/delivery"
	"sternpost/mail"
)

type probeCommand struct {
	Address string        `arg:"" help:"The address to ask for; a bare domain stands for its postmaster."`
	From    *string       `short:"f" placeholder:"FROM" help:"The sender that is named to the hosts; '<>' is the null reverse-path. Without it: postmaster at our own name."`
	Unknown bool          `help:"Ask for an invented address too: a backup that takes mail for anybody is found out by that."`
	Through string        `placeholder:"N|HOST" help:"Ask only one exchanger: the n-th of the list, or the one with this name."`
	MX      bool          `name:"mx" help:"Ask the MX of the domain although a route of the configuration takes its mail elsewhere."`
	Pretend []string      `placeholder:"MASK" sep:"none" help:"Make a host look broken, to see what would happen: HOST=down, HOST=timeout, HOST=CODE or HOST=CODE@STAGE, ipv4=down, ipv6=down. May be repeated."`
	Send    bool          `help:"Send a test message as well, in the order of a delivery, or only through the host of --through."`
	Save    string        `placeholder:"FILE" help:"Keep the result, as JSON, for a later --compare."`
	Compare string        `placeholder:"FILE" help:"Tell what changed since the result in FILE."`
	Pause   time.Duration `default:"1s" placeholder:"1s" help:"The pause between two sessions."`
	Budget  time.Duration `default:"10m" placeholder:"10m" help:"The time for all hosts together; one address has two minutes, a stage of it one."`
	Verbose bool          `short:"v" help:"Show every stage with its reply, the extensions and the certificates."`
}

func (probeCommand) Help() string {
	return `Walks every exchanger of the domain and every address, backups included, one session at a time: connect, greeting, EHLO, STARTTLS, MAIL, RCPT, then RSET and QUIT. No mail is sent without --send. Then it compares the hosts and says what is broken, and what happens to mail now.

Exit status: 0 all is well; 1 mail goes through now, but something is broken (a primary is down, a backup would refuse), or --compare found a change; 69 mail is lost now; 75 mail is delayed now. docs/probe.md has the rules.

Examples:

    sternpost probe you@example.org
    sternpost probe example.org --unknown --pretend mx1.example.org=down
    sternpost probe you@example.org --send --through 2
    sternpost probe you@example.org --compare last.json --save last.json`
}

// exitBroken is the status of a probe that found something broken, while mail goes through.
const exitBroken = 1

// probed is the JSON of probe, and what its story is told from.
type probed struct {
	delivery.Probe
	// Warning says what is wrong with our own name.
	Warning string `json:"warning"`
	// Since is when the probe was made that this one is compared with.
	Since   *time.Time             `json:"since"`
	Changes []delivery.ProbeChange `json:"changes"`
	// Sent is the attempt to deliver the test message.
	Sent *mail.Attempt `json:"sent"`
}

// Run asks, compares, and says what it comes to.
func (p probeCommand) Run(sh *shell) error {
	masks, err := p.check()
	if err != nil {
		return withCode(exitUsage, err)
	}
	recipient, bare, err := parseProbed(p.Address)
	if err != nil {
		return withCode(exitInput, err)
	}
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	before, err := p.earlier(recipient)
	if err != nil {
		return withCode(exitInput, err)
	}
	c.Delivery = delivery.ProbeConfig(c.Delivery)
	rooms, err := openRooms(realWorld(), c, delivery.Deps{Log: newLog(sh.stderr, c), Masks: masks})
	if err != nil {
		return withCode(exitConfig, err)
	}
	told, err := p.ask(sh, rooms.agent, recipient)
	if err = errors.Join(err, rooms.Close()); err != nil {
		return err
	}
	if err := errors.Join(told.compare(before), told.save(p.Save)); err != nil {
		return withCode(exitInput, err)
	}
	if sh.json {
		err = printJSON(sh.stdout, told)
	} else {
		story := probeStory{story{w: sh.stdout, paint: paintFor(sh.stdout, sh.environ), verbose: p.Verbose}, told}
		story.tell(bare)
	}
	if told.Warning != "" && !sh.json {
		fmt.Fprintf(sh.stderr, "sternpost: warning: %s\n", plain(told.Warning))
	}
	if err != nil {
		return err
	}
	return quietly(told.code())
}

// check finds mistakes on the command line.
func (p probeCommand) check() ([]delivery.Mask, error) {
	masks, err := parseMasks(p.Pretend)
	switch {
	case err != nil:
		return nil, err
	case p.Pause < 0:
		return nil, fmt.Errorf("--pause %s: write a time that is not negative, such as 1s", p.Pause)
	case p.Budget <= 0:
		return nil, fmt.Errorf("--budget %s: write a positive time, such as 10m", p.Budget)
	}
	return masks, nil
}

// parseProbed reads an address. A bare domain stands for its postmaster, who is always there (RFC 5321 s4.5.1).
func parseProbed(text string) (address mail.Address, bare bool, err error) {
	if strings.Contains(text, "@") {
		address, err = mail.ParseAddress(text)
		return address, false, err
	}
	domain, err := mail.ParseDomain(text)
	return mail.Address{Local: "postmaster", Domain: domain}, true, err
}

// sender is --from, or an address that belongs to our own name.
func (p probeCommand) sender(hostname string) (mail.ReversePath, error) {
	if p.From == nil {
		return mail.ReversePath{Address: mail.Address{Local: "postmaster", Domain: mail.Domain(hostname)}}, nil
	}
	from, err := mail.ParseReversePath(*p.From)
	if err != nil {
		return from, fmt.Errorf("--from: %w", err)
	}
	return from, nil
}

// ask probes all hosts, and sends the test message where that is wanted.
func (p probeCommand) ask(sh *shell, agent *delivery.Agent, to mail.Address) (probed, error) {
	// The signals are ours only from here on: a Ctrl-C ends the probe, and what is known is told.
	ctx, stop := signal.NotifyContext(sh.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program
	from, err := p.sender(agent.Hostname())
	if err != nil {
		return probed{}, withCode(exitInput, err)
	}
	id := newMessageID()
	letter, err := readMessage(strings.NewReader(testLetter(id, from, to, agent.Hostname(), time.Now())))
	if err != nil {
		return probed{}, err
	}
	request := delivery.ProbeRequest{
		From: from, Recipient: to, Content: letter, Through: p.Through, OnlyMX: p.MX, Pause: p.Pause, Budget: p.Budget, Asking: asking(sh),
	}
	if p.Unknown {
		request.Unknown = mail.Address{Local: nobody(), Domain: to.Domain}
	}
	told := probed{Warning: agent.NameWarning(ctx), Changes: []delivery.ProbeChange{}}
	if told.Probe, err = agent.Probe(ctx, request); err != nil {
		return told, withCode(exitInput, err)
	}
	told.Conclude(time.Now())
	if p.Send && told.Error == "" && ctx.Err() == nil {
		select {
		case <-time.After(p.Pause):
		case <-ctx.Done():
		}
		e := mail.Envelope{From: from, Recipients: []mail.Recipient{{Address: to}}}
		attempt := agent.DeliverThrough(ctx, mail.Transaction{Message: id, Attempt: 1, Domain: to.Domain, Envelope: e, Content: letter}, told.Through)
		told.Sent = &attempt
	}
	return told, nil
}

// asking tells somebody who watches what is being waited for.
func asking(sh *shell) func(string, netip.Addr) {
	p := paintFor(sh.stderr, sh.environ)
	if !bool(p) || sh.json {
		return nil
	}
	fmt.Fprintln(sh.stderr, p.faint("Ctrl-C ends it and tells what is known."))
	return func(host string, ip netip.Addr) { fmt.Fprintln(sh.stderr, p.faint("asking "+placeText(host, ip, 0))) }
}

// nobody is a local-part that nobody has.
func nobody() string {
	var number [8]byte
	rand.Read(number[:]) // never fails
	return "sternpost-probe-" + hex.EncodeToString(number[:])
}

// testLetter is the message of --send: marked, so that people and filters know what it is.
func testLetter(id string, from mail.ReversePath, to mail.Address, hostname string, now time.Time) string {
	author := from.Address
	if from.IsNull() {
		author = mail.Address{Local: "postmaster", Domain: mail.Domain(hostname)}
	}
	return fmt.Sprintf(`From: <%s>
To: <%s>
Subject: [sternpost probe] test message %s
Date: %s
Message-ID: <%s@%s>
Auto-Submitted: auto-generated
X-Sternpost-Probe: %s
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

This is a test message. Somebody on %s asked
"sternpost probe --send" to send it, to see whether mail arrives here.
Nothing has to be done.
`, author, to, id, now.Format("Mon, 2 Jan 2006 15:04:05 -0700"), id, hostname, id, hostname)
}

// compare finds what changed since an earlier probe. Both went through JSON, which has no octets that are not UTF-8.
func (p *probed) compare(before *delivery.Probe) error {
	if before == nil {
		return nil
	}
	text, err := json.Marshal(p.Probe)
	if err != nil {
		return err
	}
	var now delivery.Probe
	if err := json.Unmarshal(text, &now); err != nil {
		return err
	}
	since := before.Started.UTC()
	p.Since, p.Changes = &since, delivery.Changes(*before, now)
	return nil
}

// code is the exit status: that of the test message where it did not arrive, else that of the verdict. A change that is no routine is not "all well".
func (p probed) code() int {
	if p.Sent != nil {
		if code := deliverCode(p.Sent.Outcomes); code != exitDone {
			return code
		}
	}
	switch p.Verdict {
	case delivery.VerdictLost:
		return exitFailed
	case delivery.VerdictDelayed:
		return exitAgain
	case delivery.VerdictBroken:
		return exitBroken
	}
	for _, c := range p.Changes {
		if !c.Routine {
			return exitBroken
		}
	}
	return exitDone
}
