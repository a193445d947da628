package main

import (
	"errors"
	"net/netip"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sternpost/lab"
)

// labConfiguration is what the agent in the lab goes by: the defaults, or the file that --config names; over that what the scenario has for it. What leads it
// into the lab comes last: see lead.
func labConfiguration(sh *shell, s lab.Scenario) (*configuration, error) {
	c := &configuration{settings: defaultSettings(), sources: map[string]source{}}
	if sh.configFile != "" {
		var err error
		if c, err = loadConfig(sh); err != nil {
			return nil, err
		}
	}
	d := fileText{path: s.Name + ": configuration", text: s.Configuration}
	keys, told, err := d.decode(&c.settings)
	for key := range keys {
		c.sources[key] = source{kind: "file", name: d.path}
	}
	if err = errors.Join(append(told, err, c.explain(c.check(), d))...); err != nil {
		return nil, withCode(exitInput, err)
	}
	return c, nil
}

// lead leads the agent into the world.
func (c *configuration) lead(w *lab.World) {
	c.Resolver.Servers = []string{w.DNS().Addr()}
	c.Delivery.Port = w.Port()
	c.Delivery.AllowAddresses = slices.Concat(c.Delivery.AllowAddresses, labPrefixes())
	if c.Delivery.Hostname == "" {
		c.Delivery.Hostname = w.Scenario().AgentName()
	}
	c.Queue.Directory = "queue" // of the file system in memory
	c.Queue.JournalBytes = labJournal
	c.Submission.Listen, c.Submission.ListenTLS = nil, nil
}

// labPrefixes are the addresses that hosts of a lab may have: those of loopback.
func labPrefixes() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// logTo is the log of the agent: only its errors, unless all was asked for.
func (r labRunCommand) logTo(sh *shell) *zap.Logger {
	level := zapcore.ErrorLevel
	if r.Log {
		level = zapcore.InfoLevel
	}
	return newServiceLog(sh.stderr, level)
}
