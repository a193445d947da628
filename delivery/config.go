package delivery

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sternpost/mail"
)

// Config is the section [delivery] of the configuration. The doc tags are its documentation; docs/configuration.md
// is made from them.
type Config struct {
	Hostname       string         `toml:"hostname" doc:"Our name in EHLO. Remotes look it up: it must have an A or AAAA record, and the address that we connect from should have it as its reverse name. Empty: the name of this machine."`
	Port           int            `toml:"port" doc:"The port that exchangers listen on. 25, but for tests."`
	OwnHosts       []string       `toml:"own_hosts" doc:"Further names that are us. An MX list is cut where one of them stands (RFC 5321 s5.1), so that a backup MX does not send mail to itself."`
	OwnAddresses   []netip.Addr   `toml:"own_addresses" doc:"Addresses that are us. Empty: those of the network interfaces, less allow_addresses."`
	AllowAddresses []netip.Prefix `toml:"allow_addresses" doc:"Networks that mail may go to although they are loopback, link-local, private or our own. For laboratories."`
	BlockPrivate   bool           `toml:"block_private" doc:"Refuse exchangers with private addresses (RFC 1918, RFC 4193) as loopback ones are."`
	IPv4           bool           `toml:"ipv4" doc:"Use IPv4."`
	IPv6           bool           `toml:"ipv6" doc:"Use IPv6. Switch it off where the machine has an IPv6 address that leads nowhere."`
	OnlyTo         []string       `toml:"only_to" doc:"For staging systems: mail goes to these only, as \"a@example.org\", \"example.org\", \".example.org\" for the subdomains. Other recipients are refused, and what is queued for them fails. Empty: to everybody."`
	RedirectAll    string         `toml:"redirect_all" doc:"For staging systems: an address that gets all mail in the place of its recipients. They stand in the field X-Sternpost-Redirected. What is queued for others fails. Empty: mail goes where it was sent."`
	SourceIPv4     netip.Addr     `toml:"source_ipv4" doc:"The address that IPv4 connections come from. Empty: the system chooses."`
	SourceIPv6     netip.Addr     `toml:"source_ipv6" doc:"The address that IPv6 connections come from. Empty: the system chooses."`
	MaxAddresses   int            `toml:"max_addresses" doc:"How many addresses one attempt tries at most. One place is always kept for the least preferred host, so that the backup is reached."`
	Chunking       bool           `toml:"chunking" doc:"Send small messages by BDAT in the flight of the envelope where CHUNKING is offered (RFC 3030). Off: always DATA."`
	MinRate        int64          `toml:"min_rate" doc:"Octets per second. The time for the content is timeouts.content plus its size divided by this."`
	SessionIdle    time.Duration  `toml:"session_idle" doc:"How long an idle session is kept for the next message. 0: none is kept."`
	SessionAge     time.Duration  `toml:"session_age" doc:"The age at which a session is not used for another message."`
	SessionUses    int            `toml:"session_messages" doc:"How many messages one session carries at most."`
	MaxPerAddress  int            `toml:"max_per_address" doc:"How many connections are open to one remote address at most, over all sites."`
	MaxIdle        int            `toml:"max_idle_sessions" doc:"How many idle sessions are kept at most, over all sites."`
	Timeouts       Timeouts       `toml:"timeouts" doc:"Absolute deadlines, one for each stage: a remote that sends one octet a second does not extend them (RFC 5321 s4.5.3.2 has the least values)."`
	Routes         []Route        `toml:"routes" doc:"Routes other than the MX, tried in order; the first whose domains match is taken. A domain that matches none goes to its MX."`
}

// Timeouts are the absolute deadlines of the stages. The defaults are those of RFC 5321 s4.5.3.2, but for connect
// (the kernel's own two minutes help nobody) and quit (nothing hangs on it any more).
type Timeouts struct {
	Connect  time.Duration `toml:"connect" doc:"TCP connection."`
	Greeting time.Duration `toml:"greeting" doc:"The 220 greeting (RFC 5321 s4.5.3.2.1)."`
	Hello    time.Duration `toml:"hello" doc:"EHLO or HELO."`
	StartTLS time.Duration `toml:"starttls" doc:"STARTTLS, and the handshake."`
	Auth     time.Duration `toml:"auth" doc:"AUTH, all its steps together."`
	Mail     time.Duration `toml:"mail" doc:"MAIL (RFC 5321 s4.5.3.2.2), and RSET."`
	Rcpt     time.Duration `toml:"rcpt" doc:"Each RCPT (RFC 5321 s4.5.3.2.3)."`
	Data     time.Duration `toml:"data" doc:"The 354 to DATA (RFC 5321 s4.5.3.2.4)."`
	Content  time.Duration `toml:"content" doc:"The content, without what min_rate adds for its size (RFC 5321 s4.5.3.2.5)."`
	Dot      time.Duration `toml:"dot" doc:"The reply to the final dot or the last BDAT (RFC 5321 s4.5.3.2.6). Shorter values make duplicates."`
	Quit     time.Duration `toml:"quit" doc:"QUIT."`
	Attempt  time.Duration `toml:"attempt" doc:"The budget of one attempt up to DATA. A host may use half of what is left, the last one all of it. The wait after the dot does not count."`
}

// DefaultConfig is what an empty section means.
func DefaultConfig() Config {
	return Config{
		Port: 25, IPv4: true, IPv6: true, MaxAddresses: 8, Chunking: true,
		MinRate:     8 << 10, // a 10 MB message has 24 minutes: slower than any line that is not broken
		SessionIdle: 15 * time.Second, SessionAge: 5 * time.Minute, SessionUses: 100, MaxPerAddress: 50, MaxIdle: 1000,
		Timeouts: Timeouts{
			Connect: 15 * time.Second, Greeting: 5 * time.Minute, Hello: 5 * time.Minute, StartTLS: 2 * time.Minute,
			Auth: 2 * time.Minute, Mail: 5 * time.Minute, Rcpt: 5 * time.Minute, Data: 2 * time.Minute,
			Content: 3 * time.Minute, Dot: 10 * time.Minute, Quit: 5 * time.Second, Attempt: 15 * time.Minute,
		},
	}
}

// Check finds values that cannot work. The errors name the keys, all of them at once.
func (c Config) Check() error {
	_, guard := c.Guard()
	return errors.Join(c.checkName(), c.checkNumbers(), c.Timeouts.check(), c.checkSources(), guard, checkRoutes(c.Routes))
}

func (c Config) checkName() error {
	var errs []error
	if c.Hostname != "" {
		if _, err := mail.ParseDomain(c.Hostname); err != nil {
			errs = append(errs, fmt.Errorf("delivery.hostname: %w", err))
		}
	}
	for _, host := range c.OwnHosts {
		if _, err := mail.ParseDomain(host); err != nil {
			errs = append(errs, fmt.Errorf("delivery.own_hosts: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkNumbers() error {
	var errs []error
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("delivery.port: %d is not a port (1 to 65535)", c.Port))
	}
	if c.MaxAddresses < 1 || c.MaxAddresses > 100 {
		errs = append(errs, fmt.Errorf("delivery.max_addresses: %d is not between 1 and 100", c.MaxAddresses))
	}
	if c.MinRate < 1 {
		errs = append(errs, fmt.Errorf("delivery.min_rate: %d is not a positive number of octets per second", c.MinRate))
	}
	if c.MaxPerAddress < 1 {
		errs = append(errs, fmt.Errorf("delivery.max_per_address: %d is not a positive number", c.MaxPerAddress))
	}
	if !c.IPv4 && !c.IPv6 {
		errs = append(errs, errors.New("delivery.ipv4: and delivery.ipv6 are off; one of them must be on"))
	}
	return errors.Join(append(errs, c.checkSessions())...)
}

func (c Config) checkSessions() error {
	var errs []error
	if c.SessionIdle < 0 {
		errs = append(errs, fmt.Errorf("delivery.session_idle: %s is negative", c.SessionIdle))
	}
	if c.SessionAge < 0 {
		errs = append(errs, fmt.Errorf("delivery.session_age: %s is negative", c.SessionAge))
	}
	if c.SessionUses < 1 {
		errs = append(errs, fmt.Errorf("delivery.session_messages: %d is not a positive number", c.SessionUses))
	}
	if c.MaxIdle < 0 {
		errs = append(errs, fmt.Errorf("delivery.max_idle_sessions: %d is negative", c.MaxIdle))
	}
	return errors.Join(errs...)
}

func (c Config) checkSources() error {
	var errs []error
	if s := c.SourceIPv4; s.IsValid() && !s.Is4() {
		errs = append(errs, fmt.Errorf("delivery.source_ipv4: %s is not an IPv4 address", s))
	}
	if s := c.SourceIPv6; s.IsValid() && !s.Is6() {
		errs = append(errs, fmt.Errorf("delivery.source_ipv6: %s is not an IPv6 address", s))
	}
	return errors.Join(errs...)
}

func (t Timeouts) check() error {
	var errs []error
	for _, stage := range mail.Stages() {
		if limit, timed := t.of(stage); timed && limit <= 0 {
			errs = append(errs, fmt.Errorf("delivery.timeouts.%s: %s is not a positive duration", stage, limit))
		}
	}
	if t.Attempt <= 0 {
		errs = append(errs, fmt.Errorf("delivery.timeouts.attempt: %s is not a positive duration", t.Attempt))
	}
	return errors.Join(errs...)
}

// of is the time that a stage may take, and whether it has one.
func (t Timeouts) of(stage mail.Stage) (limit time.Duration, timed bool) {
	switch stage {
	case mail.StageConnect:
		return t.Connect, true
	case mail.StageGreeting:
		return t.Greeting, true
	case mail.StageHello:
		return t.Hello, true
	case mail.StageStartTLS:
		return t.StartTLS, true
	case mail.StageAuth:
		return t.Auth, true
	case mail.StageMail:
		return t.Mail, true
	case mail.StageRcpt:
		return t.Rcpt, true
	case mail.StageData:
		return t.Data, true
	case mail.StageContent:
		return t.Content, true
	case mail.StageDot:
		return t.Dot, true
	case mail.StageQuit:
		return t.Quit, true
	}
	return 0, false
}
