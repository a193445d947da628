package lab

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// The page lists every phrase as Phrases does, and every key of a scenario.
func TestDocumentListsAll(t *testing.T) {
	text, err := os.ReadFile("../docs/lab.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Phrases() {
		row := "| `" + strings.ReplaceAll(p.Example, "|", `\|`) + "` | " + strings.ReplaceAll(p.Meaning, "|", `\|`) + " |"
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/lab.md has no row %s", row)
		}
	}
	for _, key := range keysOf("", reflect.TypeFor[file]()) {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("docs/lab.md does not tell of %s", key)
		}
	}
}

// keysOf are the keys of a table, and those of the tables within it.
func keysOf(prefix string, table reflect.Type) []string {
	var list []string
	for i := range table.NumField() {
		key, kind := prefix+strings.ToLower(table.Field(i).Name), table.Field(i).Type
		if kind.Kind() == reflect.Slice {
			list = append(list, keysOf(key+".", kind.Elem())...)
		} else {
			list = append(list, key)
		}
	}
	return list
}
