package submission

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"sternpost/mail"
)

// Config is the section [submission] of the configuration. The doc tags are its documentation.
type Config struct {
	Listen                   []string      `toml:"listen" doc:"Where SMTP is listened for, as address:port. Empty: nowhere."`
	Networks                 []string      `toml:"networks" doc:"Who may submit: networks as address/bits, or single addresses. Others are turned away with 554. There is no other check, so name only networks whose every program may send mail."`
	Domain                   string        `toml:"domain" doc:"The domain of addresses that have none, such as the root of cron, as recipients and as senders. Empty: our own name."`
	RecipientsPerHour        int           `toml:"recipients_per_hour" doc:"How many recipients each user may send to in any hour, unless the user has a limit of his own. Those who did not authenticate have none. 0: no limit."`
	MaxSize                  int64         `toml:"max_size" doc:"The largest message in octets; a message of exactly this size is accepted."`
	MaxLine                  int           `toml:"max_line" doc:"The longest line of a message in octets. Applications send lines far longer than the 1000 of RFC 5321; delivery converts them."`
	MaxRecipients            int           `toml:"max_recipients" doc:"The most recipients of one message, 100 to 10000. The client is told 452 for the rest, and submits again for them."`
	MaxConnections           int           `toml:"max_connections" doc:"The most connections at a time. Others are told 421."`
	MaxConnectionsPerAddress int           `toml:"max_connections_per_address" doc:"The most connections at a time from one address."`
	CommandTimeout           time.Duration `toml:"command_timeout" doc:"How long a client may take until its next command line is complete."`
	ContentTimeout           time.Duration `toml:"content_timeout" doc:"How long a client may be silent within a message, and how long it may lag behind min_rate."`
	MinRate                  int64         `toml:"min_rate" doc:"The least rate at which a message must come in, in octets a second."`
	WriteTimeout             time.Duration `toml:"write_timeout" doc:"How long a client may take to read a reply."`
	Drain                    time.Duration `toml:"drain" doc:"How long the end of the program waits for messages that are between DATA and the reply."`
	Users                    []User        `toml:"users" doc:"Who may authenticate, and what is allowed then."`
}

// DefaultConfig is what an empty section means.
func DefaultConfig() Config {
	return Config{
		Listen:                   []string{"127.0.0.1:2587"},
		Networks:                 []string{"127.0.0.0/8", "::1/128"},
		MaxSize:                  100 << 20,
		MaxLine:                  1 << 20,
		MaxRecipients:            1000,
		MaxConnections:           1000,
		MaxConnectionsPerAddress: 500,
		CommandTimeout:           5 * time.Minute, // RFC 5321 s4.5.3.2.7
		ContentTimeout:           3 * time.Minute, // RFC 5321 s4.5.3.2.5
		MinRate:                  1000,
		WriteTimeout:             time.Minute,
		Drain:                    20 * time.Second,
	}
}

// Check finds values that cannot work. The errors name the keys, all of them at once.
func (c Config) Check() error {
	var errs []error
	for _, text := range c.Listen {
		if err := checkListen(text); err != nil {
			errs = append(errs, fmt.Errorf("submission.listen: %w", err))
		}
	}
	for _, text := range c.Networks {
		if _, err := parseNetwork(text); err != nil {
			errs = append(errs, fmt.Errorf("submission.networks: %w", err))
		}
	}
	// RFC 5321 s4.5.3.1.8: at least 100 recipients.
	if c.MaxRecipients < 100 || c.MaxRecipients > 10_000 {
		errs = append(errs, fmt.Errorf("submission.max_recipients: %d is not between 100 and 10000", c.MaxRecipients))
	}
	return errors.Join(append(errs, c.checkIntake(), c.checkNumbers(), c.checkTimes())...)
}

func (c Config) checkIntake() error {
	errs := []error{checkUsers(c.Users)}
	if c.Domain != "" {
		if _, err := mail.ParseDomain(c.Domain); err != nil {
			errs = append(errs, fmt.Errorf("submission.domain: %w", err))
		}
	}
	if c.RecipientsPerHour < 0 {
		errs = append(errs, fmt.Errorf("submission.recipients_per_hour: %d is negative", c.RecipientsPerHour))
	}
	return errors.Join(errs...)
}

func (c Config) checkNumbers() error {
	var errs []error
	for _, least := range []struct {
		key          string
		value, least int64
	}{
		{"max_size", c.MaxSize, 64 << 10}, // RFC 5321 s4.5.3.1.7
		{"max_line", int64(c.MaxLine), 1000},
		{"max_connections", int64(c.MaxConnections), 1},
		{"max_connections_per_address", int64(c.MaxConnectionsPerAddress), 1},
		{"min_rate", c.MinRate, 1},
	} {
		if least.value < least.least {
			errs = append(errs, fmt.Errorf("submission.%s: %d is less than %d", least.key, least.value, least.least))
		}
	}
	return errors.Join(errs...)
}

func (c Config) checkTimes() error {
	var errs []error
	for _, positive := range []struct {
		key   string
		value time.Duration
	}{
		{"command_timeout", c.CommandTimeout},
		{"content_timeout", c.ContentTimeout},
		{"write_timeout", c.WriteTimeout},
		{"drain", c.Drain},
	} {
		if positive.value <= 0 {
			errs = append(errs, fmt.Errorf("submission.%s: %s is not a positive duration", positive.key, positive.value))
		}
	}
	return errors.Join(errs...)
}

// checkListen wants an address or nothing before the port: a name could lead to another interface tomorrow.
func checkListen(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not address:port", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q does not end in the number of a port", text)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		return fmt.Errorf("%q does not begin with an IP address", text)
	}
	return nil
}

// parseNetwork reads a network or an address. Bits of the host are cleared.
func parseNetwork(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil || network.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is neither a network (192.0.2.0/24) nor an address", text)
	}
	return network.Masked(), nil
}
