package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"sternpost/mail"
	"sternpost/queue"
	"sternpost/submission"
)

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Say whether the configuration is right."`
	Show  configShowCommand  `cmd:"" help:"Print the configuration in force, and where each value comes from."`
	Docs  configDocsCommand  `cmd:"" help:"Print the meaning of every key, as Markdown."`

	Password configPasswordCommand `cmd:"" help:"Make the hash of a password, for submission.users."`
}

type configCheckCommand struct{}

func (configCheckCommand) Help() string {
	return `Reads the file and the environment as every command does, and names each mistake with its line; also the files of users, of the certificate and of the template of reports. Exit status: 0, or 78 where something is wrong.

Example:

    sternpost --config ./sternpost.toml config check`
}

// configVerdict is the JSON of `config check`.
type configVerdict struct {
	OK     bool     `json:"ok"`
	File   string   `json:"file"`
	Errors []string `json:"errors"`
}

func (configCheckCommand) Run(sh *shell) error {
	c, err := loadConfig(sh)
	if err == nil {
		// Only the agent has to be able to read these, so that no other command looks.
		if err = errors.Join(submission.CheckFiles(c.Submission), queue.CheckFiles(c.Queue)); err != nil {
			err = withCode(exitConfig, err)
		}
	}
	if sh.json {
		return printVerdict(sh.stdout, c, err)
	}
	if err != nil {
		return err
	}
	where := "no file; defaults and environment"
	if c.file != "" {
		where = c.file
	}
	_, err = fmt.Fprintf(sh.stdout, "ok (%s)\n", mail.Escape(where))
	return err
}

func printVerdict(w io.Writer, c *configuration, problem error) error {
	verdict := configVerdict{OK: problem == nil, Errors: []string{}}
	code := exitDone
	if problem != nil {
		code = exitConfig
		for line := range lines(problem.Error()) {
			verdict.Errors = append(verdict.Errors, line)
		}
	} else {
		verdict.File = c.file
	}
	if err := printJSON(w, verdict); err != nil {
		return err
	}
	return quietly(code)
}

type configShowCommand struct{}

func (configShowCommand) Help() string {
	return `The output is a configuration file; each comment says where the value comes from. Passwords and tokens are not shown.

Example:

    STERNPOST_DELIVERY_PORT=2525 sternpost config show | grep -v default`
}

// shownSetting is a setting in the JSON of `config show`.
type shownSetting struct {
	Key      string `json:"key"`
	Value    any    `json:"value"`
	Source   string `json:"source"`
	From     string `json:"from"`
	Variable string `json:"variable"`
}

func (configShowCommand) Run(sh *shell) error {
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	list := settingsOf(&c.settings)
	if sh.json {
		return showJSON(sh.stdout, c, list)
	}
	showTOML(sh.stdout, c, list)
	return nil
}

// showTOML writes the settings as a configuration file.
func showTOML(w io.Writer, c *configuration, list []setting) {
	table := ""
	for _, s := range list {
		from := c.sources[s.key]
		if s.table {
			showTables(w, s, from)
			continue
		}
		if s.names {
			showNames(w, s, from)
			continue
		}
		if s.tableName() != table {
			if table != "" {
				fmt.Fprintln(w)
			}
			table = s.tableName()
			fmt.Fprintf(w, "[%s]\n", table)
		}
		fmt.Fprintf(w, "%s = %-*s # %s\n", s.name(), 36-len(s.name()), tomlText(s.shown()), from)
	}
}

// String is where a value comes from, in few words.
func (s source) String() string {
	if s.name == "" {
		return s.kind
	}
	return s.kind + " " + mail.Escape(s.name)
}

// hidden stands in the place of a secret.
const hidden = "(not shown)"

// shown is the value of s, or a word in its place where it is a secret.
func (s setting) shown() any {
	if s.secret() && !s.value.IsZero() {
		return hidden
	}
	return plainValue(s.value)
}

// showNames prints a table of names, if there are any.
func showNames(w io.Writer, s setting, from source) {
	values, _ := plainValue(s.value).(map[string]any)
	if len(values) > 0 {
		fmt.Fprintf(w, "\n[%s] # %s\n", s.key, from)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(w, "%s = %s\n", tomlString(name), tomlText(values[name]))
	}
}

// showTables prints an array of tables, such as the routes. Keys that were not set are left out: in a list, each element
// would repeat all of them.
func showTables(w io.Writer, s setting, from source) {
	for i := range s.value.Len() {
		fmt.Fprintf(w, "\n[[%s]] # %s\n", s.key, from)
		for _, inner := range settingsOf(s.value.Index(i).Addr().Interface()) {
			switch {
			case inner.value.IsZero():
			case inner.table:
				inner.key = s.key + "." + inner.key
				showTables(w, inner, from)
			default:
				fmt.Fprintf(w, "%s = %s\n", inner.key, tomlText(inner.shown()))
			}
		}
	}
}

func showJSON(w io.Writer, c *configuration, list []setting) error {
	shown := make([]shownSetting, len(list))
	for i, s := range list {
		from := c.sources[s.key]
		shown[i] = shownSetting{Key: s.key, Source: from.kind, From: from.name, Variable: s.variable()}
		if s.table {
			shown[i].Value, shown[i].Variable = tableValues(s.value), ""
		} else {
			shown[i].Value = s.shown()
		}
		if s.names {
			shown[i].Variable = ""
		}
	}
	return printJSON(w, struct {
		File     string         `json:"file"`
		Settings []shownSetting `json:"settings"`
	}{c.file, shown})
}

// tableValues is an array of tables as a list of JSON objects.
func tableValues(tables reflect.Value) []map[string]any {
	values := make([]map[string]any, tables.Len())
	for i := range values {
		values[i] = map[string]any{}
		for _, s := range settingsOf(tables.Index(i).Addr().Interface()) {
			if s.table {
				values[i][s.key] = tableValues(s.value)
			} else {
				values[i][s.key] = s.shown()
			}
		}
	}
	return values
}

type configDocsCommand struct{}

func (configDocsCommand) Help() string {
	return `The output is docs/configuration.md, and is made from the program itself.

Example:

    sternpost config docs | less`
}

func (configDocsCommand) Run(sh *shell) error {
	if sh.json {
		return withCode(exitUsage, fmt.Errorf("config docs is Markdown only; use `sternpost config show --json`"))
	}
	_, err := io.WriteString(sh.stdout, configurationDocument())
	return err
}
