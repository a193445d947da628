package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

func (versionCommand) Help() string {
	return `Example:

    sternpost version --json`
}

// versionStory is what a program should know before it relies on another.
type versionStory struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints what the Go tool chain wrote into the binary: the version of the module, or "(devel)" with the revision.
func (versionCommand) Run(sh *shell) error {
	v := currentVersion()
	if sh.json {
		return printJSON(sh.stdout, v)
	}
	revision := v.Revision
	if v.Modified {
		revision += ", with local changes"
	}
	if revision != "" {
		revision = " (" + revision + ")"
	}
	_, err := fmt.Fprintf(sh.stdout, "sternpost %s%s, %s, %s\n", v.Version, revision, v.Go, v.Platform)
	return err
}

func currentVersion() versionStory {
	v := versionStory{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if build.Main.Version != "" {
		v.Version = build.Main.Version
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
