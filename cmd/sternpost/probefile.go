package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sternpost/delivery"
	"sternpost/mail"
)

// maxProbeFile bounds what is read of a file that was named by mistake.
const maxProbeFile = 64 << 20

// earlier reads the probe to compare with; nil: there is none. A file that is written by the same command need not be there the first time.
func (p probeCommand) earlier(to mail.Address) (*delivery.Probe, error) {
	if p.Compare == "" {
		return nil, nil
	}
	info, err := os.Stat(p.Compare)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.Compare == p.Save:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("--compare: %w", err)
	case info.Size() > maxProbeFile:
		return nil, fmt.Errorf("--compare %s: has %d octets, which no probe has", p.Compare, info.Size())
	}
	text, err := os.ReadFile(p.Compare)
	if err != nil {
		return nil, fmt.Errorf("--compare: %w", err)
	}
	var before delivery.Probe
	if err := json.Unmarshal(text, &before); err != nil || before.Verdict == "" {
		return nil, fmt.Errorf("--compare %s: is not what --save wrote", p.Compare)
	}
	if before.Recipient != to {
		return nil, fmt.Errorf("--compare %s: is a probe of %s, not of %s", p.Compare, mail.Escape(before.Recipient.String()), mail.Escape(to.String()))
	}
	return &before, nil
}

// save writes the probe. Whatever ends the program, the file is the old one or the new one.
func (p probed) save(file string) (err error) {
	if file == "" {
		return nil
	}
	draft, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // with mode 0600
	if err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	err = errors.Join(printJSON(draft, p), draft.Sync(), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("--save: %w", errors.Join(err, os.Remove(draft.Name())))
	}
	return nil
}
