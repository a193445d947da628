package submission

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestDefaultConfigIsSound(t *testing.T) {
	if err := DefaultConfig().Check(); err != nil {
		t.Error(err)
	}
	for _, text := range DefaultConfig().Networks {
		network, err := parseNetwork(text)
		if err != nil || !network.Addr().IsLoopback() {
			t.Errorf("network %s, %v", text, err)
		}
	}
}

func TestCheckNamesTheKey(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"listen":                      func(c *Config) { c.Listen = []string{"localhost:25"} },
		"listen: \"127.0.0.1\"":       func(c *Config) { c.Listen = []string{"127.0.0.1"} },
		"listen: \":smtp\"":           func(c *Config) { c.Listen = []string{":smtp"} },
		"networks":                    func(c *Config) { c.Networks = []string{"10.0.0.0/33"} },
		"networks: \"example.org\"":   func(c *Config) { c.Networks = []string{"example.org"} },
		"max_size":                    func(c *Config) { c.MaxSize = 0 },
		"max_line":                    func(c *Config) { c.MaxLine = 998 },
		"max_recipients":              func(c *Config) { c.MaxRecipients = 99 },
		"max_connections":             func(c *Config) { c.MaxConnections = 0 },
		"max_connections_per_address": func(c *Config) { c.MaxConnectionsPerAddress = 0 },
		"command_timeout":             func(c *Config) { c.CommandTimeout = 0 },
		"content_timeout":             func(c *Config) { c.ContentTimeout = -time.Second },
		"min_rate":                    func(c *Config) { c.MinRate = 0 },
		"write_timeout":               func(c *Config) { c.WriteTimeout = 0 },
		"drain":                       func(c *Config) { c.Drain = 0 },
		"idle_timeout":                func(c *Config) { c.IdleTimeout = 0 },
		"max_hold":                    func(c *Config) { c.MaxHold = -1 },
		"listen_tls":                  func(c *Config) { c.ListenTLS = []string{"localhost:465"} },
		"socket":                      func(c *Config) { c.Socket = "submit.sock" },
		"key_file":                    func(c *Config) { c.CertFile = "cert.pem" },
		"users[0].name":               func(c *Config) { c.Users = []User{cheap("an\x1bna", "x")} },
		"users[0].password":           func(c *Config) { c.Users = []User{{Name: "anna", Password: "x"}} },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), "submission."+key) {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := New(c, Deps{Intake: newDesk(t, IntakeConfig{}, &drop{}), Hostname: hostname}); err == nil {
			t.Errorf("%s: New accepts it", key)
		}
	}
}

func TestNewWantsItsParts(t *testing.T) {
	for _, d := range []Deps{{Hostname: hostname}, {Intake: newDesk(t, IntakeConfig{}, &drop{})}} {
		if _, err := New(DefaultConfig(), d); err == nil {
			t.Errorf("New accepts %+v", d)
		}
	}
}

func TestNetworks(t *testing.T) {
	for text, inside := range map[string]string{
		"192.0.2.0/24":     "192.0.2.255",
		"192.0.2.77/24":    "192.0.2.1",
		"192.0.2.7":        "192.0.2.7",
		"::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8::/32":    "2001:db8::1",
	} {
		network, err := parseNetwork(text)
		if err != nil || !network.Contains(netip.MustParseAddr(inside)) {
			t.Errorf("%s is %v, %v", text, network, err)
		}
	}
}
