package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNoRecord is that no lab has written there.
var ErrNoRecord = errors.New("no lab has run there")

// Written is a record as it is read, also while its lab runs.
type Written struct {
	About   About
	Running bool // the lab still runs

	directory string
}

// ReadRecord opens the record in a directory.
func ReadRecord(directory string) (*Written, error) {
	text, err := os.ReadFile(filepath.Join(directory, recordAbout))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", directory, ErrNoRecord)
	}
	if err != nil {
		return nil, err
	}
	w := &Written{directory: directory}
	if err := json.Unmarshal(text, &w.About); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(directory, recordAbout), err)
	}
	w.Running, err = locked(directory)
	return w, err
}

// locked says whether a lab has the directory.
func locked(directory string) (bool, error) {
	lock, err := os.Open(filepath.Join(directory, recordLock))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Events yields what is written so far, to a function that may say false to end. A line that is just being written is left out.
func (w *Written) Events(yield func(Event) bool) error {
	file, err := os.Open(filepath.Join(w.directory, recordEvents))
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var e Event
		if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil {
			return fmt.Errorf("%s: %w", file.Name(), err)
		}
		e.Since = e.At.Sub(w.About.Began)
		if e.Message != nil {
			e.Message.Since = e.Since
		}
		if !yield(e) {
			return nil
		}
	}
}

// Size is how many octets of events are written. While it stays the same nothing has happened.
func (w *Written) Size() (int64, error) {
	info, err := os.Stat(filepath.Join(w.directory, recordEvents))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Messages lists what arrived and is still kept, without contents.
func (w *Written) Messages() ([]Received, error) {
	list := []Received{}
	err := w.Events(func(e Event) bool {
		if e.Message != nil {
			if _, err := os.Stat(filepath.Join(w.directory, EMLName(e.Message.Number))); err == nil {
				list = append(list, *e.Message)
			}
		}
		return true
	})
	return list, err
}

// Content is a message as it arrived. An error that is fs.ErrNotExist: it has not come, or is not kept any more.
func (w *Written) Content(number int) ([]byte, error) {
	return os.ReadFile(filepath.Join(w.directory, EMLName(number)))
}

// Sight is what the lab saw so far. reports may be nil, as in Sight.
func (w *Written) Sight(reports func([]byte) []Report) (*Sight, error) {
	s := &Sight{Reports: reports}
	var failed error
	err := w.Events(func(e Event) bool {
		if e.Message != nil {
			content, err := w.Content(e.Message.Number)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = err
				return false
			}
			e.Message.Content = content
		}
		s.Add(e)
		return true
	})
	return s, errors.Join(err, failed)
}
