package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"sternpost/bounce"
	"sternpost/console"
	"sternpost/delivery"
	"sternpost/queue"
	"sternpost/resolver"
	"sternpost/submission"
	"sternpost/webhook"
)

// defaultFile is read when no other file is named, and may be absent: a first run needs no file.
const defaultFile = "/etc/sternpost/sternpost.toml"

// settings is the whole configuration: one section for each room that has options.
type settings struct {
	Delivery    delivery.Config         `toml:"delivery"`
	Resolver    resolver.Config         `toml:"resolver"`
	Queue       queue.Config            `toml:"queue"`
	Submission  submission.Config       `toml:"submission"`
	Suppression queue.SuppressionConfig `toml:"suppression"`
	Bounce      bounce.Config           `toml:"bounce"`
	Console     console.Config          `toml:"console"`
	Log         logConfig               `toml:"log"`
	Webhooks    []webhook.Endpoint      `toml:"webhooks" doc:"Programs that are told what became of mail, by HTTP POST: see docs/webhooks.md. Set in the file only."`
	Aliases     submission.Aliases      `toml:"aliases" doc:"Who stands for whom among recipients: a name, and beside it an address or a list of them, which may have aliases in turn. A name without a domain is meant at submission.domain and at our own name; the case of letters does not count. For example postmaster = \"admin@example.org\" or root = [\"one@example.org\", \"two@example.org\"]. Set in the file only."`
}

func defaultSettings() settings {
	return settings{
		Delivery: delivery.DefaultConfig(), Resolver: resolver.DefaultConfig(), Queue: queue.DefaultConfig(),
		Submission: submission.DefaultConfig(), Suppression: queue.DefaultSuppressionConfig(), Console: console.DefaultConfig(), Log: defaultLogConfig(),
	}
}

// check finds values that cannot work, all of them at once. The errors name their keys.
func (s settings) check() error {
	return errors.Join(s.Delivery.Check(), s.Resolver.Check(), s.Queue.Check(), s.Submission.Check(), s.Suppression.Check(), webhook.Check(s.Webhooks), s.Bounce.Check(), s.Console.Check(), s.Log.check(),
		s.Aliases.Check(s.Submission.Domain))
}

// source is where the value of a setting comes from.
type source struct {
	kind string // "default", "file" or "environment"
	name string // the path of the file, or the variable
}

// configuration is what a command works with: the values, and where each comes from.
type configuration struct {
	settings
	file    string // empty: no file was read
	sources map[string]source
}

// loadConfig builds the configuration: the defaults, over them the file, over that the environment. Errors have the
// exit status for configuration, and say where they are.
func loadConfig(sh *shell) (*configuration, error) {
	c := &configuration{settings: defaultSettings(), sources: map[string]source{}}
	list := settingsOf(&c.settings)
	for _, s := range list {
		c.sources[s.key] = source{kind: "default"}
	}
	document, told, err := c.readFile(sh.configFile, list)
	if err == nil {
		told = append(told, c.readEnvironment(sh.environ, list))
		err = errors.Join(append(told, c.explain(c.check(), document))...)
	}
	if err != nil {
		return nil, withCode(exitConfig, err)
	}
	return c, nil
}

// readFile reads the file at path, or the default file where path is empty. Mistakes in it are told; the error is that of a file which cannot be read.
func (c *configuration) readFile(path string, list []setting) (fileText, []error, error) {
	optional := path == ""
	if optional {
		path = defaultFile
	}
	text, err := os.ReadFile(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return fileText{}, nil, nil
	}
	if err != nil {
		return fileText{}, nil, fmt.Errorf("the configuration file cannot be read: %w", err)
	}
	c.file = path
	d := fileText{path: path, text: string(text)}
	keys, told, err := d.decode(&c.settings)
	for _, s := range list {
		if keys[s.key] {
			c.sources[s.key] = source{kind: "file", name: path}
		}
	}
	return d, told, err
}

// readEnvironment applies STERNPOST_SECTION_KEY. A variable that begins with the name of a section and is no key is an error, as it
// is in the file; other programs may use other STERNPOST_ names.
func (c *configuration) readEnvironment(environ []string, list []setting) error {
	byVariable := map[string]setting{}
	sections := map[string]bool{}
	for _, s := range list {
		byVariable[s.variable()] = s
		sections[strings.ToUpper(s.section())] = true
	}
	var errs []error
	for _, entry := range environ {
		variable, text, _ := strings.Cut(entry, "=")
		s, known := byVariable[variable]
		switch {
		case known:
			if err := s.set(text); err != nil {
				errs = append(errs, fmt.Errorf("%s in the environment: %w", variable, err))
			}
			c.sources[s.key] = source{kind: "environment", name: variable}
		case sections[sectionOf(variable)]:
			errs = append(errs, fmt.Errorf("%s in the environment: there is no such key; `sternpost config docs` lists them", variable))
		}
	}
	return errors.Join(errs...)
}

// sectionOf is SECTION of STERNPOST_SECTION_KEY, or empty.
func sectionOf(variable string) string {
	rest, ours := strings.CutPrefix(variable, "STERNPOST_")
	if !ours {
		return ""
	}
	section, _, _ := strings.Cut(rest, "_")
	return section
}

// explain adds to each error of a check where its key was set.
func (c *configuration) explain(err error, d fileText) error {
	if err == nil {
		return nil
	}
	var errs []error
	for line := range lines(err.Error()) {
		place, _, _ := strings.Cut(line, ":")
		key, _, _ := strings.Cut(place, "[")
		if strings.HasPrefix(key, "aliases.") {
			key = "aliases"
		}
		switch from := c.sources[key]; from.kind {
		case "environment":
			line = from.name + " in the environment: " + line
		case "file":
			line = fmt.Sprintf("%s: %s", d.position(place), line)
		}
		errs = append(errs, errors.New(line))
	}
	return errors.Join(errs...)
}
