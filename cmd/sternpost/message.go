package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// inMemory is how much of a message is kept in memory; a longer one goes to a temporary file.
const inMemory = 1 << 20

// message is the content that was read, in memory or in a file without a name. It is a mail.Content: each Open reads from the start.
type message struct {
	held []byte
	file *os.File
	size int64
}

// loadMessage reads the message from the file, or from standard input where its name is "-".
func loadMessage(sh *shell, name string) (*message, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("the message cannot be read (what has no @ is taken for its file): %w", err)
		}
		defer file.Close()
		return readMessage(file)
	}
	if isTerminal(sh.stdin) {
		fmt.Fprintln(sh.stderr, "Type the message: header, an empty line, text. Ctrl-D ends it.")
	}
	return readMessage(sh.stdin)
}

func readMessage(r io.Reader) (*message, error) {
	m, err := holdMessage(r)
	if err == nil && m.size == 0 {
		return nil, errors.New("the message is empty")
	}
	return m, err
}

// holdMessage reads r to its end.
func holdMessage(r io.Reader) (*message, error) {
	var held bytes.Buffer
	n, err := io.CopyN(&held, r, inMemory)
	switch {
	case err == io.EOF:
		return &message{held: held.Bytes(), size: n}, nil
	case err != nil:
		return nil, fmt.Errorf("the message cannot be read: %w", err)
	}
	return spill(io.MultiReader(&held, r))
}

// spill copies r to a temporary file that loses its name at once: whatever ends the program, nothing is left behind.
func spill(r io.Reader) (*message, error) {
	file, err := os.CreateTemp("", "sternpost-message-")
	if err != nil {
		return nil, fmt.Errorf("no temporary file for the message: %w", err)
	}
	size, err := io.Copy(file, r)
	if removed := os.Remove(file.Name()); err == nil {
		err = removed
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("the message cannot be kept: %w", err)
	}
	return &message{file: file, size: size}, nil
}

func (m *message) Size() int64 { return m.size }

func (m *message) Open() (io.ReadCloser, error) {
	if m.file == nil {
		return io.NopCloser(bytes.NewReader(m.held)), nil
	}
	return io.NopCloser(io.NewSectionReader(m.file, 0, m.size)), nil
}

// Close gives the temporary file back.
func (m *message) Close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}
