package resolver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Config is the section [resolver] of the configuration. The doc tags are its documentation.
type Config struct {
	Servers      []string      `toml:"servers" doc:"DNS servers, as address or address:port. Empty: those of /etc/resolv.conf. They must be recursive; one on this machine is best."`
	Validating   []string      `toml:"validating" doc:"Which of the servers validate DNSSEC and are reached safely, so that their AD bit is believed; \"auto\" stands for those with a loopback address. Empty: none."`
	Timeout      time.Duration `toml:"timeout" doc:"The time for one question over all servers and repetitions. The default is enough for three rounds with two servers (1, 2 and 4 seconds each)."`
	CacheRecords int           `toml:"cache_records" doc:"How many records the cache holds at most; the least recently used go first. A record takes about 500 octets."`
	MinTTL       time.Duration `toml:"min_ttl" doc:"An answer is kept at least this long, so that a TTL of 0 does not cost a question for each message. Less than 1m is refused."`
	MaxTTL       time.Duration `toml:"max_ttl" doc:"An answer is kept at most this long, so that a mistyped TTL does not outlive its correction by a week."`
	MaxStale     time.Duration `toml:"max_stale" doc:"How long after its TTL an answer is still served when no server answers (RFC 8767). 0: not at all."`
}

// auto stands for the servers with a loopback address.
const auto = "auto"

// DefaultConfig is what an empty section means.
func DefaultConfig() Config {
	return Config{
		Validating:   []string{auto},
		Timeout:      15 * time.Second,
		CacheRecords: 50_000,
		MinTTL:       time.Minute,
		MaxTTL:       24 * time.Hour,
		MaxStale:     24 * time.Hour, // RFC 8767 s5 names one to three days
	}
}

// Check finds values that cannot work. The errors name the keys, all of them at once.
func (c Config) Check() error {
	var errs []error
	for _, text := range c.Servers {
		if _, err := parseServer(text); err != nil {
			errs = append(errs, fmt.Errorf("resolver.servers: %w", err))
		}
	}
	for _, text := range c.Validating {
		if _, err := parseServer(text); err != nil && text != auto {
			errs = append(errs, fmt.Errorf("resolver.validating: %w, nor \"auto\"", err))
		}
	}
	return errors.Join(append(errs, c.checkTimes())...)
}

func (c Config) checkTimes() error {
	var errs []error
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("resolver.timeout: %s is not a positive duration", c.Timeout))
	}
	if c.CacheRecords < 1 {
		errs = append(errs, fmt.Errorf("resolver.cache_records: %d is not a positive number", c.CacheRecords))
	}
	if c.MinTTL < leastTTL {
		errs = append(errs, fmt.Errorf("resolver.min_ttl: %s is less than %s", c.MinTTL, leastTTL))
	}
	if c.MaxTTL < c.MinTTL {
		errs = append(errs, fmt.Errorf("resolver.max_ttl: %s is less than resolver.min_ttl (%s)", c.MaxTTL, c.MinTTL))
	}
	if c.MaxStale < 0 {
		errs = append(errs, fmt.Errorf("resolver.max_stale: %s is negative", c.MaxStale))
	}
	return errors.Join(errs...)
}

// parseServer reads an address with or without a port; the port of the DNS is 53.
func parseServer(text string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, 53), nil
	}
	if server, err := netip.ParseAddrPort(text); err == nil && server.Port() != 0 {
		return server, nil
	}
	return netip.AddrPort{}, fmt.Errorf("%q is neither an IP address nor address:port", text)
}

// servers are those of the configuration or, where it has none, of conf, the text of a resolv.conf.
func (c Config) servers(conf io.Reader) ([]*server, error) {
	texts := c.Servers
	if len(texts) == 0 {
		var err error
		if texts, err = nameservers(conf); err != nil {
			return nil, err
		}
	}
	var servers []*server
	for _, text := range texts {
		address, err := parseServer(text)
		if err != nil {
			return nil, fmt.Errorf("resolver.servers: %w", err)
		}
		servers = append(servers, &server{address: address.String(), validating: c.validates(address)})
	}
	return servers, nil
}

func (c Config) validates(address netip.AddrPort) bool {
	return slices.ContainsFunc(c.Validating, func(text string) bool {
		if text == auto {
			return address.Addr().Unmap().IsLoopback()
		}
		marked, err := parseServer(text)
		return err == nil && marked == address
	})
}

// nameservers reads the nameserver lines of a resolv.conf. Without one, it is this machine that is asked, as resolv.conf(5) says. Lines that cannot be
// understood are passed over: the file is not ours.
func nameservers(conf io.Reader) ([]string, error) {
	var found []string
	lines := bufio.NewScanner(conf)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if _, err := netip.ParseAddr(fields[1]); err == nil {
			found = append(found, fields[1])
		}
	}
	if len(found) == 0 {
		found = []string{"127.0.0.1"}
	}
	return found, lines.Err()
}
