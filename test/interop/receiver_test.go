//go:build interop

package interop

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// receiver is a mail server that stores what it takes in maildirs.
type receiver struct {
	*program
	// mailbox is the maildir of an address.
	mailbox func(address string) string
	// lineEnd is how it writes the ends of lines on the disk.
	lineEnd string
}

// one is the mailbox function of a receiver that puts everything into one maildir.
func one(maildir string) func(string) string {
	return func(string) string { return maildir }
}

// takes waits for the message in the mailbox of the address and removes it from there. It returns what the receiver put before
// the marker, and what came from there on, in wire form.
func (r *receiver) takes(t *testing.T, address string, m message) (before string, content []byte) {
	t.Helper()
	var stored []byte
	r.await(t, m.name+" for "+address, func() bool {
		files, _ := filepath.Glob(filepath.Join(r.mailbox(address), "new", "*"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil && bytes.Contains(text, []byte(marker+m.name+r.lineEnd)) {
				stored = text
				return os.Remove(file) == nil
			}
		}
		return false
	})
	at := bytes.Index(stored, []byte(marker))
	before, content = string(stored[:at]), stored[at:]
	if r.lineEnd == "\n" {
		content = bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))
	}
	return before, content
}

// keeps checks that the message arrived for the address as it was sent, octet for octet.
func (r *receiver) keeps(t *testing.T, address string, m message) {
	t.Helper()
	before, content := r.takes(t, address, m)
	sent, got := sha256.Sum256(m.content), sha256.Sum256(content)
	t.Logf("%s: %d octets, SHA-256 %x; put before it: %s", r.name, len(content), got, strings.Join(fieldNames(before), ", "))
	if sent == got {
		return
	}
	at := firstDifference(m.content, content)
	t.Errorf("%s: %d octets arrived of %d, SHA-256 of what was sent %x; first difference at %d:\nsent %.60q\ngot  %.60q",
		r.name, len(content), len(m.content), sent, at, m.content[at:], content[at:])
}

// firstDifference is the first index at which a and b are not the same.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// fieldNames are the names of the header fields in text.
func fieldNames(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if name, _, ok := strings.Cut(line, ":"); ok && !strings.ContainsAny(name, " \t") {
			names = append(names, name)
		}
	}
	return names
}

// arrive delivers every message to the address and checks that the receiver keeps it.
func arrive(t *testing.T, a agent, r *receiver, address string, messages []message) {
	for _, m := range messages {
		t.Run(m.name, func(t *testing.T) {
			_, host, _ := strings.Cut(address, "@")
			a.deliver(t, m, address).delivered(t, "mx."+host)
			r.keeps(t, address, m)
		})
	}
}
