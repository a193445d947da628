package queue

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"sternpost/dsn"
	"sternpost/mail"
)

// Config is the section [queue] of the configuration. The doc tags are its documentation; docs/configuration.md is made from them.
type Config struct {
	Directory       string          `toml:"directory" doc:"Where the queue lies. One process owns it. The admin socket is made in it."`
	Lifetime        time.Duration   `toml:"lifetime" doc:"How long a message is tried."`
	ReportLifetime  time.Duration   `toml:"report_lifetime" doc:"How long our own reports are tried."`
	DelayNotice     time.Duration   `toml:"delay_notice" doc:"When the sender is told that a message still waits; once. 0: never."`
	ReportLanguage  string          `toml:"report_language" doc:"The language of the part of reports that is for people: \"en\" or \"de\"."`
	ReportTemplate  string          `toml:"report_template" doc:"A file with a template of your own for that part, in the form of Go's text/template; empty: the one of the language. docs/operations.md tells what it gets. It is read at the start and at a reload."`
	Backoff         []time.Duration `toml:"backoff" doc:"The delays from the end of one attempt to the next; the last one repeats. Shorter at first than RFC 5321 s4.5.4.1 asks, for the sake of greylisting."`
	Jitter          float64         `toml:"jitter" doc:"Each delay is longer or shorter by up to this share of it, so that messages which failed together do not come back together."`
	InDoubt         string          `toml:"in_doubt" doc:"What to do when a message was sent and no answer came: \"retry\" (it may arrive twice) or \"hold\" (a person decides)."`
	WindowStart     int             `toml:"window_start" doc:"How many attempts a site that is not known yet gets at the same time."`
	WindowLimit     int             `toml:"window_limit" doc:"How many attempts a site gets at the same time at most."`
	MaxAttempts     int             `toml:"max_attempts" doc:"How many attempts run at the same time, over all sites. Each may need a file handle."`
	MaxReady        int             `toml:"max_ready" doc:"How many messages wait in memory for a free place, at most half of them for one destination; the rest waits on the disk."`
	Drain           time.Duration   `toml:"drain" doc:"How long attempts that are under way may go on when the agent is stopped."`
	JournalDays     int             `toml:"journal_days" doc:"How many days the journal is kept. Read at the start only."`
	JournalBytes    int64           `toml:"journal_bytes" doc:"How large the journal may grow on the disk, in octets; the oldest entries go first. 0: 10 GiB, but at most a tenth of the disk. Read at the start only."`
	PerDestinations []Override      `toml:"destinations" doc:"Other values for some destinations; the first whose domains match is taken."`
}

// Override has other values for some destinations. Zero values change nothing.
type Override struct {
	Domains     []string        `toml:"domains" doc:"\"example.org\" is that domain, \".example.org\" its subdomains."`
	Lifetime    time.Duration   `toml:"lifetime" doc:"As queue.lifetime."`
	DelayNotice time.Duration   `toml:"delay_notice" doc:"As queue.delay_notice. For a message to several destinations the earliest of their times counts."`
	Backoff     []time.Duration `toml:"backoff" doc:"As queue.backoff."`
	Jitter      float64         `toml:"jitter" doc:"As queue.jitter."`
	WindowLimit int             `toml:"window_limit" doc:"How many attempts these destinations get at the same time at most, each."`
	Rate        int             `toml:"rate" doc:"Attempts a minute at most, each. 0: no limit."`
}

// DefaultConfig is what an empty section means.
func DefaultConfig() Config {
	return Config{
		Directory: "/var/lib/sternpost", Lifetime: 5 * 24 * time.Hour, ReportLifetime: 2 * 24 * time.Hour, DelayNotice: 4 * time.Hour, ReportLanguage: string(dsn.English),
		Backoff: []time.Duration{
			time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
		},
		Jitter: 0.1, InDoubt: inDoubtRetry, WindowStart: 5, WindowLimit: 20, MaxAttempts: 2000, MaxReady: 10_000, Drain: 30 * time.Second,
		JournalDays: 30,
	}
}

const (
	inDoubtRetry = "retry"
	inDoubtHold  = "hold"
)

// Check finds values that cannot work. The errors name the keys, all of them at once.
func (c Config) Check() error {
	errs := []error{checkBackoff("queue.backoff", c.Backoff), c.checkTimes(), c.checkNumbers()}
	if len(c.Backoff) == 0 {
		errs = append(errs, errors.New("queue.backoff: is empty"))
	}
	if c.Directory == "" {
		errs = append(errs, errors.New("queue.directory: is empty"))
	}
	if c.InDoubt != inDoubtRetry && c.InDoubt != inDoubtHold {
		errs = append(errs, fmt.Errorf("queue.in_doubt: %q is not retry or hold", c.InDoubt))
	}
	if _, err := dsn.NewText(dsn.Language(c.ReportLanguage)); err != nil {
		errs = append(errs, fmt.Errorf("queue.report_language: %w", err))
	}
	for i, o := range c.PerDestinations {
		errs = append(errs, o.check(fmt.Sprintf("queue.destinations[%d]", i)))
	}
	return errors.Join(errs...)
}

func (c Config) checkTimes() error {
	var errs []error
	if c.Lifetime <= 0 {
		errs = append(errs, fmt.Errorf("queue.lifetime: %s is not a positive duration", c.Lifetime))
	}
	if c.ReportLifetime <= 0 {
		errs = append(errs, fmt.Errorf("queue.report_lifetime: %s is not a positive duration", c.ReportLifetime))
	}
	if c.DelayNotice < 0 {
		errs = append(errs, fmt.Errorf("queue.delay_notice: %s is negative", c.DelayNotice))
	}
	if c.Drain < 0 {
		errs = append(errs, fmt.Errorf("queue.drain: %s is negative", c.Drain))
	}
	return errors.Join(errs...)
}

func (c Config) checkNumbers() error {
	var errs []error
	errs = append(errs, checkJitter("queue.jitter", c.Jitter))
	if c.WindowStart < 1 {
		errs = append(errs, fmt.Errorf("queue.window_start: %d is not a positive number", c.WindowStart))
	}
	if c.WindowLimit < c.WindowStart {
		errs = append(errs, fmt.Errorf("queue.window_limit: %d is less than queue.window_start (%d)", c.WindowLimit, c.WindowStart))
	}
	if c.MaxAttempts < 1 {
		errs = append(errs, fmt.Errorf("queue.max_attempts: %d is not a positive number", c.MaxAttempts))
	}
	if c.MaxReady < 1 {
		errs = append(errs, fmt.Errorf("queue.max_ready: %d is not a positive number", c.MaxReady))
	}
	if c.JournalDays < 1 {
		errs = append(errs, fmt.Errorf("queue.journal_days: %d is not a positive number", c.JournalDays))
	}
	if c.JournalBytes < 0 {
		errs = append(errs, fmt.Errorf("queue.journal_bytes: %d is negative", c.JournalBytes))
	}
	return errors.Join(errs...)
}

func checkBackoff(name string, delays []time.Duration) error {
	for _, d := range delays {
		if d <= 0 {
			return fmt.Errorf("%s: %s is not a positive duration", name, d)
		}
	}
	return nil
}

func checkJitter(name string, share float64) error {
	if share >= 0 && share <= 0.5 { // nor is it NaN
		return nil
	}
	return fmt.Errorf("%s: %v is not between 0 and 0.5", name, share)
}

func (o Override) check(name string) error {
	errs := []error{checkBackoff(name+".backoff", o.Backoff), checkJitter(name+".jitter", o.Jitter)}
	if len(o.Domains) == 0 {
		errs = append(errs, fmt.Errorf("%s: domains is empty, so nothing would ever match", name))
	}
	for _, d := range o.Domains {
		if _, err := mail.ParsePattern(d); err != nil {
			errs = append(errs, fmt.Errorf("%s: domains: %w", name, err))
		}
	}
	if o.Lifetime < 0 || o.DelayNotice < 0 || o.WindowLimit < 0 || o.Rate < 0 {
		errs = append(errs, fmt.Errorf("%s: lifetime, delay_notice, window_limit and rate must not be negative", name))
	}
	return errors.Join(errs...)
}

// forDestination is the first override that matches; its values are filled with those for all.
func (c Config) forDestination(d mail.Domain) Override {
	found := Override{Lifetime: c.Lifetime, DelayNotice: c.DelayNotice, Backoff: c.Backoff, Jitter: c.Jitter, WindowLimit: c.WindowLimit}
	i := slices.IndexFunc(c.PerDestinations, func(o Override) bool { return o.matches(d) })
	if i < 0 {
		return found
	}
	o := c.PerDestinations[i]
	if len(o.Backoff) > 0 {
		found.Backoff = o.Backoff
	}
	found.Lifetime = cmp.Or(o.Lifetime, found.Lifetime)
	found.DelayNotice = cmp.Or(o.DelayNotice, found.DelayNotice)
	found.Jitter = cmp.Or(o.Jitter, found.Jitter)
	found.WindowLimit = cmp.Or(o.WindowLimit, found.WindowLimit)
	found.Rate = o.Rate
	return found
}

func (o Override) matches(d mail.Domain) bool {
	for _, text := range o.Domains {
		if p, err := mail.ParsePattern(text); err == nil && p.Matches(d) {
			return true
		}
	}
	return false
}
