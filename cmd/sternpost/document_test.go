package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// document reads a page of docs.
func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestConfigurationDocumentIsMadeFromTheProgram(t *testing.T) {
	if readDocument(t, "configuration.md") != configurationDocument() {
		t.Error("docs/configuration.md is not what `sternpost config docs` prints; run `make docs`")
	}
}

func TestEverySettingIsDocumentedAndSettable(t *testing.T) {
	config := defaultSettings()
	variables := map[string]string{}
	for _, s := range settingsOf(&config) {
		if s.doc == "" || strings.HasSuffix(s.key, ".") {
			t.Errorf("%s has no doc or toml tag", s.key)
		}
		if other, taken := variables[s.variable()]; taken {
			t.Errorf("%s and %s share the variable %s", s.key, other, s.variable())
		}
		variables[s.variable()] = s.key
		if err := s.set("\x00"); !s.table && !s.names && err != nil && strings.Contains(err.Error(), "configuration file only") {
			t.Errorf("%s cannot be set from the environment", s.key)
		}
	}
}

// documented returns the keys of the table under each heading of docs/json.md.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	keys := map[string][]string{}
	heading := ""
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\|")
	for line := range strings.SplitSeq(readDocument(t, "json.md"), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			heading = strings.Trim(title, "`")
		} else if match := row.FindStringSubmatch(line); match != nil {
			keys[heading] = append(keys[heading], match[1])
		}
	}
	return keys
}

// places collects the keys of every object in v by its place, as in "attempts[].dns[]".
func places(v any, place string, found map[string][]string) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			places(element, place+"[]", found)
		}
	case map[string]any:
		found[place] = slices.Sorted(maps.Keys(v))
		for key, value := range v {
			places(value, strings.TrimPrefix(place+"."+key, "."), found)
		}
	}
}

func TestJSONHasTheDocumentedKeys(t *testing.T) {
	environ := smallWorld(t)
	message := t.TempDir() + "/message.eml"
	if err := os.WriteFile(message, []byte("Subject: hello\n\nhello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	attempt := map[string]string{
		"recipients[]": "Outcome", "attempts[]": "Attempt", "attempts[].outcomes[]": "Outcome", "attempts[].dns[]": "Lookup",
		"attempts[].candidates[]": "Candidate", "attempts[].candidates[].stages[]": "Stage", "attempts[].candidates[].tls": "TLS",
	}
	demo := map[string]string{
		"": "demo", "scenes[]": "Scene", "scenes[].why": "why", "scenes[].why.message": "Message", "scenes[].why.message.recipients[]": "Recipient",
		"scenes[].why.message.recipients[].last": "Outcome", "scenes[].why.standing[]": "Standing", "scenes[].why.standing[].handover": "Handover", "scenes[].why.events[]": "Event",
		"bounces": "bounces", "bounces.bounces[]": "Event",
	}
	for place, heading := range attempt {
		if rest, ok := strings.CutPrefix(place, "attempts[]"); ok {
			demo["scenes[].why.events[].attempt"+rest] = heading
		}
	}
	attempt[""] = "deliver"
	for _, c := range []struct {
		args   []string
		tables map[string]string // heading by place
	}{
		{[]string{"deliver", "-f", "me@client.test", "you@example.test", message}, attempt},
		{[]string{"resolve", "example.test"}, map[string]string{
			"": "resolve", "hosts[]": "Host", "hosts[].addresses[]": "Address", "order[]": "Place", "findings[]": "Finding", "dns[]": "Lookup",
		}},
		{[]string{"config", "check"}, map[string]string{"": "config check"}},
		{[]string{"config", "password"}, map[string]string{"": "config password"}},
		{[]string{"config", "show"}, map[string]string{"": "config show", "settings[]": "Setting", "settings[].value": "aliases: none"}},
		{[]string{"version"}, map[string]string{"": "version"}},
		{[]string{"demo"}, demo},
	} {
		t.Run(strings.Join(c.args[:1], " "), func(t *testing.T) {
			var out, said bytes.Buffer
			code := run(append(c.args, "--json"), &shell{
				ctx: t.Context(), stdin: strings.NewReader("a password\n"), stdout: &out, stderr: &said, environ: environ,
			})
			var v any
			if err := json.Unmarshal(out.Bytes(), &v); err != nil || code != 0 {
				t.Fatalf("exit status %d, %v\n%s\n%s", code, err, out.Bytes(), said.Bytes())
			}
			found := map[string][]string{}
			places(v, "", found)
			compareKeys(t, found, c.tables)
		})
	}
}

func compareKeys(t *testing.T, found map[string][]string, tables map[string]string) {
	t.Helper()
	keys := documented(t)
	for place, heading := range tables {
		want := slices.Sorted(slices.Values(keys[heading]))
		if !slices.Equal(found[place], want) {
			t.Errorf("%q: keys %q, documented under %s: %q", place, found[place], heading, want)
		}
	}
	for place := range found {
		if _, known := tables[place]; !known {
			t.Errorf("%q is an object that no table documents", place)
		}
	}
}

// smallWorld is a domain with one exchanger that offers TLS, and the environment in which it is found.
func smallWorld(t *testing.T) []string {
	t.Helper()
	dns := dnstest.New(t, "example.test. MX 10 mx.example.test.\nmx.example.test. A 127.0.0.1\nclient.test. A 127.0.0.1\n")
	mx := smtptest.New(t, "name mx.example.test\ntls valid\n")
	_, port, err := net.SplitHostPort(mx.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"STERNPOST_RESOLVER_SERVERS=" + dns.Addr(), "STERNPOST_DELIVERY_PORT=" + port,
		"STERNPOST_DELIVERY_HOSTNAME=client.test", "STERNPOST_DELIVERY_ALLOW_ADDRESSES=127.0.0.0/8",
	}
}

// codeRow and codeCall find a finding's code in the document and in the rules.
var (
	codeRow  = regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| (error|warning|notice) \\|")
	codeCall = regexp.MustCompile(`finding\(Level(\w+), "([a-z0-9-]+)"`)
)

func TestFindingsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("../../resolver/lint.go")
	if err != nil {
		t.Fatal(err)
	}
	var known, told []string
	for _, match := range codeCall.FindAllStringSubmatch(string(source), -1) {
		known = append(known, match[2]+" "+strings.ToLower(match[1]))
	}
	for _, match := range codeRow.FindAllStringSubmatch(readDocument(t, "json.md"), -1) {
		told = append(told, match[1]+" "+match[2])
	}
	slices.Sort(known)
	slices.Sort(told)
	if !slices.Equal(known, told) {
		t.Errorf("the rules know %q, docs/json.md tells %q", known, told)
	}
}
