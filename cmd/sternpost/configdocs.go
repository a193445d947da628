package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

const documentHead = `# Configuration

This page is made by ` + "`sternpost config docs`" + ` (` + "`make docs`" + `) from the program itself; a test holds it equal.

There is one file, ` + "`sternpost.toml`" + `, in [TOML](https://toml.io). A first run needs none: every key has a default.
It is looked for in this order, and only the first is read:

1. ` + "`--config FILE`" + `
2. the environment variable ` + "`STERNPOST_CONFIG`" + `
3. ` + "`/etc/sternpost/sternpost.toml`" + `, where it exists

Every key but the arrays of tables and ` + "`[aliases]`" + ` may also be set by an environment variable, which wins over the file:
` + "`STERNPOST_`" + `, the section and the key in capital letters. Lists are separated by commas. A key or variable that does not exist is an
error; ` + "`sternpost config check`" + ` names its line. ` + "`sternpost config show`" + ` prints what is in force and where it comes from.

A duration is a text with its unit, such as ` + "`\"90s\"`, `\"5m\"` or `\"1h30m\"`" + `.
`

// configurationDocument is docs/configuration.md.
func configurationDocument() string {
	var b strings.Builder
	b.WriteString(documentHead)
	config := defaultSettings()
	table := ""
	for _, s := range settingsOf(&config) {
		if s.table {
			documentTables(&b, s)
			continue
		}
		if s.names {
			fmt.Fprintf(&b, "\n## `[%s]`\n\n%s\n", s.key, s.doc)
			continue
		}
		if s.tableName() != table {
			table = s.tableName()
			fmt.Fprintf(&b, "\n## `[%s]`\n\n| key | default | meaning |\n|---|---|---|\n", table)
		}
		fmt.Fprintf(&b, "| `%s`<br>`%s` | `%s` | %s |\n", s.name(), s.variable(), tomlText(plainValue(s.value)), cell(s.doc))
	}
	return b.String()
}

// documentTables writes the keys of an array of tables, and of the arrays within it.
func documentTables(b *strings.Builder, s setting) {
	fmt.Fprintf(b, "\n## `[[%s]]`\n\n%s\n\n| key | kind | meaning |\n|---|---|---|\n", s.key, s.doc)
	element := reflect.New(s.value.Type().Elem())
	var arrays []setting
	for _, inner := range settingsOf(element.Interface()) {
		if inner.table {
			arrays = append(arrays, inner)
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", inner.key, kindName(inner.value.Type()), cell(inner.doc))
	}
	for _, inner := range arrays {
		inner.key = s.key + "." + inner.key
		documentTables(b, inner)
	}
}

// cell is text that may stand in a table of Markdown.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// kindName is what a reader may write for a value of this type.
func kindName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return `duration such as "90s"`
	case reflect.TypeFor[netip.Prefix]():
		return `network such as "192.0.2.0/24"`
	case reflect.TypeFor[netip.Addr]():
		return `address such as "192.0.2.1"`
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Bool:
		return "truth value (true or false)"
	case reflect.Int, reflect.Int64:
		return "number"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return listName(t.Elem())
	case reflect.Map:
		return "table"
	default:
		return "text"
	}
}

// listName is what a reader may write for a list of such values.
func listName(element reflect.Type) string {
	if isTable(element) {
		return "list of tables"
	}
	kind, example, found := strings.Cut(kindName(element), " such as ")
	plural := kind + "s"
	if strings.HasSuffix(kind, "s") {
		plural = kind + "es"
	}
	if found {
		return "list of " + plural + " such as [" + example + "]"
	}
	return "list of " + plural
}

// withArticle is a kind in a sentence.
func withArticle(kind string) string {
	if strings.HasPrefix(kind, "a") {
		return "an " + kind
	}
	return "a " + kind
}
