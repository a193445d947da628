package lab

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed scenarios/*.toml
var files embed.FS

// Names lists the scenarios that come with the program.
func Names() []string {
	entries, err := files.ReadDir("scenarios")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".toml"))
	}
	slices.Sort(names)
	return names
}

// Scenarios returns those that come with the program, by name.
func Scenarios() ([]Scenario, error) {
	var all []Scenario
	for _, name := range Names() {
		s, err := Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Load returns the scenario of that name that comes with the program.
func Load(name string) (Scenario, error) {
	text, err := files.ReadFile(path.Join("scenarios", name+".toml"))
	if err != nil {
		return Scenario{}, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return Parse(name+".toml", string(text))
}
