package resolver

import (
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDefaultConfig(t *testing.T) {
	c := DefaultConfig()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	for i := range reflect.TypeFor[Config]().NumField() {
		f := reflect.TypeFor[Config]().Field(i)
		if f.Tag.Get("toml") == "" || f.Tag.Get("doc") == "" {
			t.Errorf("%s has no key or no documentation", f.Name)
		}
	}
}

func TestCheckNamesTheKey(t *testing.T) {
	tests := map[string]func(*Config){
		"resolver.servers: ":       func(c *Config) { c.Servers = []string{"127.0.0.1", "dns.example"} },
		"resolver.servers: \"":     func(c *Config) { c.Servers = []string{"127.0.0.1:0"} },
		"resolver.validating: ":    func(c *Config) { c.Validating = []string{"yes"} },
		"resolver.timeout: ":       func(c *Config) { c.Timeout = 0 },
		"resolver.cache_records: ": func(c *Config) { c.CacheRecords = 0 },
		"resolver.min_ttl: -1ns ":  func(c *Config) { c.MinTTL = -1 },
		"resolver.min_ttl: 59s ":   func(c *Config) { c.MinTTL = 59 * time.Second },
		"resolver.max_ttl: ":       func(c *Config) { c.MaxTTL = time.Second },
		"resolver.max_stale: ":     func(c *Config) { c.MaxStale = -1 },
	}
	for want, change := range tests {
		c := DefaultConfig()
		change(&c)
		if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if _, err := New(c, refused); err == nil {
			t.Errorf("%s: New took it", want)
		}
	}
}

func TestServers(t *testing.T) {
	tests := []struct {
		name    string
		servers []string
		conf    string
		want    []string // a star marks those that validate
	}{
		{"configuration", []string{"192.0.2.1", "[2001:db8::1]:5300", "::1"}, "nameserver 192.0.2.9", []string{"192.0.2.1:53", "[2001:db8::1]:5300", "[::1]:53*"}},
		{"resolv.conf", nil, "# comment\nsearch example.test\nnameserver 127.0.0.53\n nameserver\tfe80::1%eth0\nnameserver nonsense\nnameserver\n",
			[]string{"127.0.0.53:53*", "[fe80::1%eth0]:53"}},
		{"resolv.conf without servers", nil, "options edns0", []string{"127.0.0.1:53*"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := DefaultConfig()
			c.Servers = test.servers
			servers, err := c.servers(strings.NewReader(test.conf))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range servers {
				text := s.address
				if s.validating {
					text += "*"
				}
				got = append(got, text)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnreadableResolvConf(t *testing.T) {
	_, err := DefaultConfig().servers(broken{})
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// Only where there is no resolv.conf this machine is asked: one that cannot be read names servers that we do not know.
func TestResolvConfThatCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	if conf, err := openConf(folder + "/absent"); err != nil {
		t.Error(err)
	} else if text, err := io.ReadAll(conf); len(text) > 0 || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	file := folder + "/resolv.conf"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openConf(file + "/within"); err == nil || !strings.Contains(err.Error(), "resolver.servers") {
		t.Errorf("got %v", err)
	}
}
