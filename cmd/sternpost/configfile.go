package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// fileText is a configuration file that was read.
type fileText struct {
	path string
	text string
}

// decode writes the file's values into config and returns the keys that it sets. Unknown keys, and numbers where a duration
// belongs, are errors with the line; all of them are told at once.
func (d fileText) decode(config *settings) (map[string]bool, error) {
	meta, err := toml.Decode(d.text, config)
	if err != nil {
		return nil, d.syntaxError(err)
	}
	keys := map[string]bool{}
	var errs []error
	for _, key := range meta.Keys() {
		keys[key.String()] = true
		// The TOML reader would take any case, but then one key has several names.
		if lower := strings.ToLower(key.String()); lower != key.String() {
			errs = append(errs, fmt.Errorf("%s: %s is written in lower case: %s", d.position(key.String()), key, lower))
		}
	}
	unknown := map[string]bool{}
	for _, key := range meta.Undecoded() {
		unknown[key.String()] = true
		if unknown[key[:len(key)-1].String()] {
			continue // of a table that is told already
		}
		errs = append(errs, fmt.Errorf("%s: there is no key %s; `sternpost config docs` lists them", d.position(key.String()), key))
	}
	for _, s := range settingsOf(config) {
		isNumber := meta.Type(strings.Split(s.key, ".")...) == "Integer"
		if _, isText := plainValue(s.value).(string); isNumber && isText {
			errs = append(errs, fmt.Errorf("%s: %s needs a unit, as in \"90s\" or \"5m\"", d.position(s.key), s.key))
		}
	}
	return keys, errors.Join(errs...)
}

// syntaxError puts the line in front of what the TOML reader says, and says what belongs there where a value has the wrong type.
func (d fileText) syntaxError(err error) error {
	if parse := new(toml.ParseError); errors.As(err, parse) {
		message := parse.Message
		if message == "" {
			_, message, _ = strings.Cut(parse.Error(), ": ")
		}
		return fmt.Errorf("%s:%d: %s", d.path, parse.Position.Line, message)
	}
	var line int
	var key string
	if _, scan := fmt.Sscanf(err.Error(), "toml: line %d (last key %q):", &line, &key); scan != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	config := defaultSettings()
	for _, s := range settingsOf(&config) {
		if s.key == key {
			return fmt.Errorf("%s:%d: %s must be a %s", d.path, line, key, kindName(s.value.Type()))
		}
	}
	_, message, _ := strings.Cut(err.Error(), "): ")
	return fmt.Errorf("%s:%d: %s: %s", d.path, line, key, message)
}

// position is "file:line" of a key, or of the innermost table around it that has a line of its own (an inline table has
// none). The TOML reader tells positions only of errors of its own.
func (d fileText) position(key string) string {
	places := d.keyLines()
	for path := key; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
		if line, ok := places[path]; ok {
			return fmt.Sprintf("%s:%d", d.path, line)
		}
	}
	return d.path
}

// keyLines finds the line of each table header and each key that begins a line; the first one where a key stands twice.
func (d fileText) keyLines() map[string]int {
	places := map[string]int{}
	table := ""
	number := 0
	for line := range lines(d.text) {
		number++
		line = strings.TrimSpace(line)
		key := ""
		if strings.HasPrefix(line, "[") {
			header, _, _ := strings.Cut(line, "]")
			table = normalKey(strings.TrimLeft(header, "["))
			key = table
		} else if name, _, found := strings.Cut(line, "="); found && !strings.HasPrefix(line, "#") {
			key = strings.TrimPrefix(table+"."+normalKey(name), ".")
		}
		if _, seen := places[key]; key != "" && !seen {
			places[key] = number
		}
	}
	return places
}

// normalKey is a dotted key without the blanks and quotes that TOML allows around its parts.
func normalKey(text string) string {
	parts := strings.Split(text, ".")
	for i := range parts {
		parts[i] = strings.Trim(parts[i], " \t\"'")
	}
	return strings.Join(parts, ".")
}
