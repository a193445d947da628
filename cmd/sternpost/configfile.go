package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// fileText is a configuration file that was read.
type fileText struct {
	path string
	text string
}

// decode writes the file's values into config and returns the keys that it sets. Values of the wrong kind, unknown keys, and numbers where a duration
// belongs are told with their lines, all at once, and change nothing. The error is that of a file that is not TOML.
func (d fileText) decode(config *settings) (keys map[string]bool, told []error, err error) {
	var tree map[string]any
	if _, err := toml.Decode(d.text, &tree); err != nil {
		return nil, nil, d.syntaxError(err)
	}
	text := d.text
	if told = d.unitless(settingsOf(config), "", tree); len(told) > 0 {
		if text, err = asText(tree); err != nil {
			return nil, nil, errors.Join(append(told, err)...)
		}
	}
	meta, wrong, err := d.fill(config, text, tree)
	if err != nil {
		return nil, nil, err
	}
	told = append(told, wrong...)
	keys = map[string]bool{}
	for _, key := range meta.Keys() {
		keys[key.String()] = true
		// The TOML reader would take any case, but then one key has several names.
		if lower := strings.ToLower(key.String()); lower != key.String() && (len(key) < 2 || key[0] != "aliases") {
			told = append(told, fmt.Errorf("%s: %s is written in lower case: %s", d.position(key.String()), key, lower))
		}
	}
	unknown := map[string]bool{}
	for _, key := range meta.Undecoded() {
		unknown[key.String()] = true
		if unknown[key[:len(key)-1].String()] {
			continue // of a table that is told already
		}
		told = append(told, fmt.Errorf("%s: there is no key %s; `sternpost config docs` lists them", d.position(key.String()), key))
	}
	return keys, told, nil
}

// fill writes text into config, which is the file's or tree as text. The TOML reader stops at a value of the wrong kind: it is told and taken out of the
// tree, and the rest is read again.
func (d fileText) fill(config *settings, text string, tree map[string]any) (meta toml.MetaData, wrong []error, err error) {
	for {
		meta, err = toml.Decode(text, config)
		if err == nil {
			return meta, wrong, nil
		}
		key := badKey(err)
		wrong = append(wrong, d.wrongKind(key, err))
		if !remove(tree, strings.Split(key, ".")) {
			return meta, nil, errors.Join(wrong...)
		}
		if text, err = asText(tree); err != nil {
			return meta, nil, errors.Join(append(wrong, err)...)
		}
	}
}

func asText(tree map[string]any) (string, error) {
	text, err := toml.Marshal(tree)
	return string(text), err
}

// badKey is the key that the TOML reader could not decode, or empty.
func badKey(err error) string {
	if parse := new(toml.ParseError); errors.As(err, parse) {
		return parse.LastKey
	}
	var line int
	var key string
	_, _ = fmt.Sscanf(err.Error(), "toml: line %d (last key %q):", &line, &key) // else it stays empty
	return key
}

// remove takes a key out of a tree: with it the whole array, where it stands in an array of tables.
func remove(tree map[string]any, path []string) bool {
	inner, isTable := tree[path[0]].(map[string]any)
	if len(path) > 1 && isTable {
		return remove(inner, path[1:])
	}
	_, found := tree[path[0]]
	delete(tree, path[0])
	return found
}

// wrongKind says what belongs to a key.
func (d fileText) wrongKind(key string, err error) error {
	config := defaultSettings()
	if s, ok := findSetting(settingsOf(&config), key); ok {
		return fmt.Errorf("%s: %s must be %s", d.position(key), key, withArticle(kindName(s.value.Type())))
	}
	_, message, _ := strings.Cut(err.Error(), "): ")
	return fmt.Errorf("%s: %s: %s", d.position(key), key, message)
}

// findSetting looks in the arrays of tables too.
func findSetting(list []setting, key string) (setting, bool) {
	for _, s := range list {
		if s.key == key {
			return s, true
		}
		if inner, within := strings.CutPrefix(key, s.key+"."); within && s.table {
			return findSetting(settingsOf(reflect.New(s.value.Type().Elem()).Interface()), inner)
		}
	}
	return setting{}, false
}

// unitless finds the numbers that stand where a duration belongs, and takes them out of tree: the TOML reader would take them for nanoseconds.
func (d fileText) unitless(list []setting, place string, tree map[string]any) []error {
	var told []error
	for _, s := range list {
		path := strings.Split(s.key, ".")
		table, ok := innermost(tree, path[:len(path)-1])
		if !ok {
			continue
		}
		switch v := table[s.name()].(type) {
		case []map[string]any:
			for i := range v {
				if s.table {
					inner := settingsOf(reflect.New(s.value.Type().Elem()).Interface())
					told = append(told, d.unitless(inner, fmt.Sprintf("%s%s[%d].", place, s.key, i), v[i])...)
				}
			}
		case int64, []any:
			if isSpan(s.value.Type()) && hasNumber(v) {
				told = append(told, fmt.Errorf("%s: %s needs a unit, as in \"90s\" or \"5m\"", d.position(place+s.key), place+s.key))
				delete(table, s.name())
			}
		}
	}
	return told
}

// innermost is the table that path leads to.
func innermost(tree map[string]any, path []string) (map[string]any, bool) {
	ok := true
	for _, part := range path {
		if tree, ok = tree[part].(map[string]any); !ok {
			return nil, false
		}
	}
	return tree, true
}

// isSpan says whether t is a duration or a list of durations.
func isSpan(t reflect.Type) bool {
	span := reflect.TypeFor[time.Duration]()
	return t == span || t.Kind() == reflect.Slice && t.Elem() == span
}

func hasNumber(v any) bool {
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, hasNumber)
	}
	_, ok := v.(int64)
	return ok
}

// syntaxError puts the line in front of what the TOML reader says.
func (d fileText) syntaxError(err error) error {
	parse := new(toml.ParseError)
	if !errors.As(err, parse) {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	message := parse.Message
	if message == "" {
		_, message, _ = strings.Cut(parse.Error(), ": ")
	}
	return fmt.Errorf("%s:%d: %s", d.path, parse.Position.Line, message)
}

// position is "file:line" of a key, or of the innermost table around it that has a line of its own (an inline table has
// none). An element of an array of tables is written key[0]. The TOML reader tells positions only of errors of its own.
func (d fileText) position(key string) string {
	places := d.keyLines()
	for path := key; path != ""; path = path[:max(0, strings.LastIndexAny(path, ".["))] {
		if line, ok := places[path]; ok {
			return fmt.Sprintf("%s:%d", d.path, line)
		}
	}
	return d.path
}

// keyLines finds the line of each table header and each key that begins a line; the first one where a key stands twice. What stands in an array of tables
// is found with the number of its element and without.
func (d fileText) keyLines() map[string]int {
	places := map[string]int{}
	elements := map[string]int{} // how many were begun, by the key of their array
	number := 0
	note := func(key string) {
		for _, name := range []string{key, index.ReplaceAllString(key, "")} {
			if _, seen := places[name]; name != "" && !seen {
				places[name] = number
			}
		}
	}
	table := ""
	for line := range lines(d.text) {
		number++
		line = strings.TrimSpace(line)
		if header, _, _ := strings.Cut(line, "]"); strings.HasPrefix(line, "[") {
			table = numbered(normalKey(strings.TrimLeft(header, "[")), elements)
			if strings.HasPrefix(line, "[[") {
				elements[table]++
				note(table)
				table = fmt.Sprintf("%s[%d]", table, elements[table]-1)
			}
			note(table)
		} else if name, _, found := strings.Cut(line, "="); found && !strings.HasPrefix(line, "#") {
			note(strings.TrimPrefix(table+"."+normalKey(name), "."))
		}
	}
	return places
}

// index is the number of an element in a key.
var index = regexp.MustCompile(`\[\d+\]`)

// numbered writes the numbers of the elements that a header stands in: delivery.routes.smarthosts is delivery.routes[0].smarthosts.
func numbered(key string, elements map[string]int) string {
	path := ""
	for part := range strings.SplitSeq(key, ".") {
		if n := elements[path]; n > 0 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
		path = strings.TrimPrefix(path+"."+part, ".")
	}
	return path
}

// normalKey is a dotted key without the blanks and quotes that TOML allows around its parts.
func normalKey(text string) string {
	parts := strings.Split(text, ".")
	for i := range parts {
		parts[i] = strings.Trim(parts[i], " \t\"'")
	}
	return strings.Join(parts, ".")
}
