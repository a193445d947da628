package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

type demoCommand struct{}

func (demoCommand) Help() string {
	return `Starts a DNS server and two mail servers within the program, on loopback addresses, and delivers to them. Nothing leaves this machine, and the configuration is not read.

Exit status: 0 where each delivery went as it should, else 69.

Example:

    sternpost demo`
}

// demoZone is the world of the demonstration; nobody listens on 127.0.0.2.
const demoZone = `
client.test.            A   127.0.0.1
primary-down.test.      MX  10 mx1.primary-down.test.
primary-down.test.      MX  20 mx2.primary-down.test.
mx1.primary-down.test.  A   127.0.0.2
mx2.primary-down.test.  A   127.0.0.3
no-mx.test.             A   127.0.0.4
`

const demoMessage = `From: me@client.test
Subject: A demonstration

Hello.
`

// scene is one delivery of the demonstration.
type scene struct {
	title string
	to    string
	// want and host are what must come of it.
	want mail.Disposition
	host string
}

func scenes() []scene {
	return []scene{
		{"The primary exchanger is down: the backup takes the mail.", "you@primary-down.test", mail.Delivered, "mx2.primary-down.test"},
		{"There is no MX record: the domain's own address takes the mail.", "you@no-mx.test", mail.Delivered, "no-mx.test"},
		{"The domain does not exist: the host is unknown.", "you@does-not-exist.test", mail.Failed, ""},
	}
}

// played is the JSON of one scene.
type played struct {
	Title      string         `json:"title"`
	AsExpected bool           `json:"as_expected"`
	Recipients []mail.Outcome `json:"recipients"`
	Attempts   []mail.Attempt `json:"attempts"`
}

// Run plays all scenes.
func (demoCommand) Run(sh *shell) error {
	world, err := openDemo()
	if err != nil {
		return fmt.Errorf("the demonstration cannot start (it needs the addresses 127.0.0.1 to 127.0.0.4): %w", err)
	}
	if !sh.json {
		fmt.Fprintln(sh.stdout, "A DNS server and two mail servers run within this program; nothing leaves this machine.")
	}
	var all []played
	var failures []error
	for i, s := range scenes() {
		if !sh.json {
			fmt.Fprintf(sh.stdout, "\n%s\n\n$ %s\n", paintFor(sh.stdout, sh.environ).bold(fmt.Sprintf("%d. %s", i+1, s.title)),
				"sternpost deliver -f me@client.test "+s.to)
		}
		p, err := s.play(sh, world.configuration)
		if err == nil && !p.AsExpected {
			err = fmt.Errorf("%q did not go as it should", s.title)
		}
		failures = append(failures, err)
		all = append(all, p)
	}
	failures = append(failures, world.Close())
	if sh.json {
		failures = append(failures, printJSON(sh.stdout, all))
	} else if errors.Join(failures...) == nil {
		fmt.Fprintln(sh.stdout, "\nEach went as it should.")
	}
	return errors.Join(failures...)
}

// play delivers the message of one scene.
func (s scene) play(sh *shell, c *configuration) (played, error) {
	from := "me@client.test"
	d := deliverCommand{From: &from, To: []string{s.to}}
	envelope, _, err := d.envelope()
	if err != nil {
		return played{}, err
	}
	message, err := readMessage(strings.NewReader(demoMessage))
	if err != nil {
		return played{}, err
	}
	told, err := d.deliver(sh, c, envelope, message)
	p := played{Title: s.title, Recipients: told.Recipients, Attempts: told.Attempts}
	p.AsExpected = err == nil && p.Recipients[0].Disposition == s.want && p.Recipients[0].Host == s.host
	return p, err
}

// demoWorld is what runs while the demonstration does.
type demoWorld struct {
	configuration *configuration
	dns           *dnstest.Server
	exchangers    []*smtptest.Server
}

// openDemo starts the servers. All exchangers listen on the same port, each on its own address, as they do in the world.
func openDemo() (*demoWorld, error) {
	dns, err := dnstest.Start(demoZone)
	if err != nil {
		return nil, err
	}
	w := &demoWorld{dns: dns}
	port, err := w.listen("127.0.0.3:0", "name mx2.primary-down.test")
	if err == nil {
		_, err = w.listen(fmt.Sprintf("127.0.0.4:%d", port), "name no-mx.test")
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.configuration = &configuration{settings: defaultSettings(), sources: map[string]source{}}
	w.configuration.Resolver.Servers = []string{dns.Addr()}
	w.configuration.Delivery.Port = port
	w.configuration.Delivery.Hostname = "client.test"
	w.configuration.Delivery.AllowAddresses = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return w, nil
}

// listen starts one exchanger and returns its port.
func (w *demoWorld) listen(address, dialogue string) (int, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return 0, err
	}
	server, err := smtptest.Start(dialogue, listener)
	if err != nil {
		return 0, errors.Join(err, listener.Close())
	}
	w.exchangers = append(w.exchangers, server)
	return int(server.AddrPort().Port()), nil
}

// Close ends the servers.
func (w *demoWorld) Close() error {
	err := w.dns.Close()
	for _, s := range w.exchangers {
		err = errors.Join(err, s.Close())
	}
	return err
}
