package submission

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"sternpost/mail"
)

// Config is the section [submission] of the configuration. The doc tags are its documentation.
type Config struct {
	Listen                   []string      `toml:"listen" doc:"Where SMTP is listened for, as address:port. STARTTLS is offered; with a certificate of our own making not over loopback, where there is nothing to protect and many programs take it up and then fail on the certificate. Empty: nowhere."`
	ListenTLS                []string      `toml:"listen_tls" doc:"Where SMTP under TLS is listened for, as address:port (RFC 8314; usually port 465). Empty: nowhere."`
	Networks                 []string      `toml:"networks" doc:"Who may submit without AUTH: networks as address/bits, or single addresses. Others have to authenticate; where there are no users they are turned away with 554. Name only networks whose every program may send mail."`
	Socket                   string        `toml:"socket" doc:"The path of the submission socket: SMTP for every local user, who needs no password and is named by his uid. Empty: public/submit.sock in queue.directory, which others may then enter and not look into. \"none\": there is no socket."`
	UsersFile                string        `toml:"users_file" doc:"A TOML file with more tables [[users]], each as submission.users. Read at the start and at SIGHUP."`
	CertFile                 string        `toml:"cert_file" doc:"The certificate chain, PEM. Read again when it changes, without a restart; a new pair that cannot be used is told in the log, and the old one stays. Empty: one of our own making for delivery.hostname, in queue.directory/tls. It is good for ten years, since nobody would renew it."`
	KeyFile                  string        `toml:"key_file" doc:"The key of cert_file, PEM."`
	AllowInsecureAuth        bool          `toml:"allow_insecure_auth" doc:"Take passwords without TLS, also from clients that are not on this machine. Everybody on the way can read them."`
	EnvIDIsKey               bool          `toml:"envid_is_key" doc:"Take ENVID (RFC 3461) as the idempotency key of a message."`
	Domain                   string        `toml:"domain" doc:"The domain of addresses that have none, such as the root of cron, as recipients and as senders. Empty: our own name."`
	RecipientsPerHour        int           `toml:"recipients_per_hour" doc:"How many recipients each user may send to in any hour, unless the user has a limit of his own. Those who did not authenticate have none. 0: no limit."`
	MaxSize                  int64         `toml:"max_size" doc:"The largest message in octets; a message of exactly this size is accepted."`
	MaxLine                  int           `toml:"max_line" doc:"The longest line of a message in octets. Applications send lines far longer than the 1000 of RFC 5321; delivery converts them."`
	MaxRecipients            int           `toml:"max_recipients" doc:"The most recipients of one message, 100 to 10000. The client is told 452 for the rest, and submits again for them."`
	MaxConnections           int           `toml:"max_connections" doc:"The most connections at a time. Others are told 421."`
	MaxConnectionsPerAddress int           `toml:"max_connections_per_address" doc:"The most connections at a time from one address."`
	CommandTimeout           time.Duration `toml:"command_timeout" doc:"How long a client may take until its next command line is complete."`
	IdleTimeout              time.Duration `toml:"idle_timeout" doc:"How long a connection may go without a message, whatever it sends. One that has to authenticate has 2 minutes for that."`
	MaxHold                  time.Duration `toml:"max_hold" doc:"How long a client may have a message held before it is sent (FUTURERELEASE, RFC 4865). 0: not at all."`
	ContentTimeout           time.Duration `toml:"content_timeout" doc:"How long a client may be silent within a message, and how long it may lag behind min_rate."`
	MinRate                  int64         `toml:"min_rate" doc:"The least rate at which a message must come in, in octets a second."`
	WriteTimeout             time.Duration `toml:"write_timeout" doc:"How long a client may take to read a reply."`
	Drain                    time.Duration `toml:"drain" doc:"How long the end of the program waits for messages that are between DATA and the reply."`
	Users                    []User        `toml:"users" doc:"Who may authenticate, by AUTH PLAIN or LOGIN, and what he may do then."`
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
		IdleTimeout:              30 * time.Minute,
		MaxHold:                  30 * 24 * time.Hour,
		ContentTimeout:           3 * time.Minute, // RFC 5321 s4.5.3.2.5
		MinRate:                  1000,
		WriteTimeout:             time.Minute,
		Drain:                    20 * time.Second,
	}
}

// Check finds values that cannot work. The errors name the keys, all of them at once.
func (c Config) Check() error {
	var errs []error
	for key, list := range map[string][]string{"listen": c.Listen, "listen_tls": c.ListenTLS} {
		for _, text := range list {
			if err := checkListen(text); err != nil {
				errs = append(errs, fmt.Errorf("submission.%s: %w", key, err))
			}
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
	return errors.Join(append(errs, c.checkIntake(), c.checkNumbers(), c.checkTimes(), c.checkAccess())...)
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
		{"idle_timeout", c.IdleTimeout},
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

// checkAccess looks at what says who may come in, and how.
func (c Config) checkAccess() error {
	errs := checkLogins("submission.users", c.Users)
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("submission.key_file: cert_file and key_file are set together"))
	}
	if c.Socket != "" && c.Socket != noSocket && !filepath.IsAbs(c.Socket) {
		errs = append(errs, fmt.Errorf("submission.socket: %q is not an absolute path", c.Socket))
	}
	if c.MaxHold < 0 || c.MaxHold > 365*24*time.Hour {
		errs = append(errs, fmt.Errorf("submission.max_hold: %s is not between 0 and a year", c.MaxHold))
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
