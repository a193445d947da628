package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMessagesAreReadAgainFromTheStart(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("TMPDIR", directory)
	for _, size := range []int{1, inMemory - 1, inMemory, inMemory + 1, 3 * inMemory} {
		content := bytes.Repeat([]byte("line\r\n"), size/6+1)[:size]
		m, err := readMessage(iotest.HalfReader(bytes.NewReader(content)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Size() != int64(size) {
			t.Errorf("%d octets: size %d", size, m.Size())
		}
		for range 2 {
			if sum(t, m) != sha256.Sum256(content) {
				t.Errorf("%d octets: read differently", size)
			}
		}
		left, err := os.ReadDir(directory)
		if err != nil || len(left) != 0 {
			t.Errorf("%d octets: files are left behind: %v, %v", size, left, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func sum(t *testing.T, m *message) [sha256.Size]byte {
	t.Helper()
	r, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

func TestMessagesThatCannotBeRead(t *testing.T) {
	broken := errors.New("the pipe broke")
	long := io.MultiReader(strings.NewReader(strings.Repeat("x", inMemory)), iotest.ErrReader(broken))
	for name, r := range map[string]io.Reader{"at once": iotest.ErrReader(broken), "late": long} {
		if _, err := readMessage(r); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readMessage(strings.NewReader("")); err == nil {
		t.Error("an empty message was taken")
	}
}
