package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// sample has one field of each kind that a room may use.
type sample struct {
	Text    string         `toml:"text"`
	Number  int            `toml:"number"`
	Big     int64          `toml:"big"`
	Truth   bool           `toml:"truth"`
	Span    time.Duration  `toml:"span"`
	Address netip.Addr     `toml:"address"`
	Nets    []netip.Prefix `toml:"nets"`
	Inner   struct {
		Words []string `toml:"words"`
	} `toml:"inner"`
	Tables []struct {
		Name string `toml:"name"`
	} `toml:"tables"`
	Last string `toml:"last"`
}

func TestSettingsAreFoundInTheOrderOfTOML(t *testing.T) {
	var keys []string
	for _, s := range settingsOf(&sample{}) {
		keys = append(keys, s.key)
	}
	want := "text number big truth span address nets last inner.words tables"
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("keys %s, want %s", got, want)
	}
}

func TestSettingsFromText(t *testing.T) {
	for _, c := range []struct{ key, text, want string }{
		{"text", "a, b", `"a, b"`},
		{"number", "-7", "-7"},
		{"number", "7.5", `error: "7.5" is not a whole number`},
		{"big", "9000000000", "9000000000"},
		{"truth", "true", "true"},
		{"truth", "yes", `error: "yes" is not true or false`},
		{"span", "90m", `"1h30m"`},
		{"span", "90", `error: "90" is not a duration such as 90s, 5m or 1h30m`},
		{"address", "192.0.2.1", `"192.0.2.1"`},
		{"address", "", `""`},
		{"nets", "127.0.0.0/8, ::1/128", `["127.0.0.0/8", "::1/128"]`},
		{"nets", " ", "[]"},
		{"nets", "127.0.0.1", `error: "127.0.0.1" is not a network such as "192.0.2.0/24"`},
		{"inner.words", "one,two", `["one", "two"]`},
		{"tables", "x", "error: can be set in the configuration file only"},
	} {
		got := ""
		for _, s := range settingsOf(&sample{}) {
			if s.key != c.key {
				continue
			}
			if err := s.set(c.text); err != nil {
				got = "error: " + err.Error()
			} else {
				got = tomlText(plainValue(s.value))
			}
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s = %q: %s, want %s", c.key, c.text, got, c.want)
		}
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", time.Hour: "1h", 90 * time.Minute: "1h30m", 30 * time.Hour: "30h",
		10 * time.Second: "10s", 10 * time.Minute: "10m", time.Hour + time.Second: "1h0m1s", 20 * time.Hour: "20h",
	} {
		got := durationText(d)
		if back, err := time.ParseDuration(got); got != want || back != d || err != nil {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Whatever text a value has, what `config show` writes is the same text for who reads the file.
func FuzzShownTextIsReadBack(f *testing.F) {
	for _, text := range []string{"", "plain", `quote " and \`, "tab\tline\nbell\a", "\u009b31m", "\u202e", "日本", "\U0001F600"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		var back struct{ Value string }
		shown := tomlString(text)
		if _, err := toml.Decode("value = "+shown, &back); err != nil || back.Value != text {
			t.Errorf("%q is shown as %s and read as %q (%v)", text, shown, back.Value, err)
		}
		if strings.ContainsFunc(shown, unprintable) && !strings.Contains(text, "\uFFFD") {
			t.Errorf("%q is shown as %q", text, shown)
		}
	})
}

// No configuration file breaks the program, and one that is accepted can be shown and read again with the same values.
func FuzzConfiguration(f *testing.F) {
	f.Add("")
	f.Add("[delivery]\nport = 25\nhostname = \"mx.example.org\"\n[delivery.timeouts]\nconnect = \"5s\"\n")
	f.Add("[[delivery.routes]]\ndomains = [\"*\"]\n[[delivery.routes.smarthosts]]\nhost = \"relay.example\"\nport = 25\nverify = false\n")
	f.Add("[resolver]\nservers = [\"127.0.0.1:5300\"]\nvalidating = []\n[log]\nlevel = \"debug\"\n")
	f.Add("delivery.port = 1\n[resolver]\n\"servers\" = []\n")
	f.Add("[delivery]\nport = 1\nport = 2\n")
	f.Add("[submission]\ndomain = \"b.example\"\n[[submission.users]]\nname = \"a\"\nsenders = [\"<>\"]\n[aliases]\nRoot = \"x\"\n\"a.b@c.example\" = [\"y\", \"z@d.example\"]\n")
	f.Add("[aliases]\n\"\\\"a b\\\"\" = \"\\\"c d\\\"@e.example\"\nx = {y = 1}\n")
	f.Add("[delivery]\nprot = 1\n[x.y]\nz = {a = [1, {b = 2}]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		d := fileText{path: "fuzz.toml", text: text}
		config := defaultSettings()
		if _, told, err := d.decode(&config); err != nil || len(told) > 0 || config.check() != nil {
			return
		}
		again := defaultSettings()
		shown := writtenOut(&config)
		if _, told, err := (fileText{path: "shown.toml", text: shown}).decode(&again); err != nil || len(told) > 0 {
			t.Fatalf("%v %v\n%s", err, told, shown)
		}
		if got := writtenOut(&again); got != shown {
			t.Errorf("shown\n%s\nread back as\n%s", shown, got)
		}
	})
}

// writtenOut is what `config show` prints.
func writtenOut(config *settings) string {
	var b strings.Builder
	showTOML(&b, &configuration{settings: *config}, settingsOf(config))
	return b.String()
}

func TestPositionsOfKeys(t *testing.T) {
	d := fileText{path: "a.toml", text: strings.Join([]string{
		"# a comment = no key",
		"top.dotted = 1",
		"[ delivery . timeouts ] # header",
		"  connect = \"5s\"",
		"\"quoted\" = 1",
		"[[delivery.routes]]",
		"tls = { a = 1 }",
		"[[delivery.routes]]",
		"domains = []",
		"[[delivery.routes.smarthosts]]",
		"host = 1",
		"[[delivery.routes.smarthosts]]",
		"host = 1",
	}, "\n")}
	for key, want := range map[string]string{
		"top.dotted": "a.toml:2", "delivery.timeouts": "a.toml:3", "delivery.timeouts.connect": "a.toml:4",
		"delivery.timeouts.quoted": "a.toml:5", "delivery.routes": "a.toml:6", "delivery.routes.tls.a": "a.toml:7", "other": "a.toml",
		"delivery.routes[1]": "a.toml:8", "delivery.routes[1].domains": "a.toml:9", "delivery.routes[1].smarthosts[1]": "a.toml:12",
		"delivery.routes[1].smarthosts[1].host": "a.toml:13", "delivery.routes[7]": "a.toml:6",
	} {
		if got := d.position(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

// The file that a packager would install is right.
func TestShownDefaultsAreAConfiguration(t *testing.T) {
	config := defaultSettings()
	path := filepath.Join(t.TempDir(), "sternpost.toml")
	if err := os.WriteFile(path, []byte(writtenOut(&config)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(&shell{configFile: path})
	if err != nil {
		t.Fatal(err)
	}
	if c.sources["delivery.port"] != (source{kind: "file", name: path}) {
		t.Errorf("delivery.port comes from %s", c.sources["delivery.port"])
	}
}
