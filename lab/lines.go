package lab

import (
	"fmt"
	"strings"
)

// keyLines finds the line of each table and each key that begins a line, because the TOML reader tells positions of its own errors only. A key in an array of
// tables is found with the number of its element, and without it where it stands first.
func keyLines(text string) map[string]int {
	places := map[string]int{}
	elements := map[string]int{}
	table, open := "", "" // open is the mark that ends the text of several lines that we are in
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if open != "" {
			if strings.Contains(line, open) {
				open = ""
			}
			continue
		}
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			table = header(line, elements)
			notePlace(places, table, number)
		default:
			if name, value, found := strings.Cut(line, "="); found {
				notePlace(places, strings.TrimPrefix(table+"."+strings.Trim(strings.TrimSpace(name), `"'`), "."), number)
				open = opened(value)
			}
		}
	}
	return places
}

// header is the key of a table header; elements counts those of arrays of tables.
func header(line string, elements map[string]int) string {
	name, _, _ := strings.Cut(strings.TrimLeft(line, "["), "]")
	name = strings.TrimSpace(name)
	if !strings.HasPrefix(line, "[[") {
		return name
	}
	elements[name]++
	return fmt.Sprintf("%s[%d]", name, elements[name]-1)
}

// notePlace notes a key with and without the number of its element; the first place counts.
func notePlace(places map[string]int, key string, number int) {
	before, rest, indexed := strings.Cut(key, "[")
	keys := []string{key}
	if indexed {
		_, after, _ := strings.Cut(rest, "]")
		keys = append(keys, before+after)
	}
	for _, k := range keys {
		if _, seen := places[k]; !seen {
			places[k] = number
		}
	}
}

// opened is the mark of a text of several lines that begins in value and does not end there.
func opened(value string) string {
	value = strings.TrimSpace(value)
	for _, mark := range []string{`"""`, `'''`} {
		if rest, ok := strings.CutPrefix(value, mark); ok && !strings.Contains(rest, mark) {
			return mark
		}
	}
	return ""
}
