package spool

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// writers is how many clients hand in mail at once.
const writers = 64

func BenchmarkAcceptSettle(b *testing.B) {
	s := openAt(b, vfs.Default, b.TempDir())
	defer func() { _ = s.Close() }()
	content := bytes.Repeat([]byte("0123456789abcde\n"), 320)
	b.SetParallelism(writers / 2)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			work, err := accept(b, s, content)
			if err == nil {
				err = s.Settle(b.Context(), []queue.Settlement{{
					ID: work[0].ID, Destination: "b.example", States: map[int]queue.RecipientState{0: {State: queue.Delivered}},
					Entries: []journal.Entry{{Kind: journal.Delivered, Recipient: "a@b.example", Domain: mail.Domain("b.example"), Code: 250}},
				}})
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkFileFsync is what a queue of plain files costs: one file and one fsync for each message, and its removal.
func BenchmarkFileFsync(b *testing.B) {
	directory := b.TempDir()
	content := bytes.Repeat([]byte("0123456789abcde\n"), 320)
	var count atomic.Int64
	b.SetParallelism(writers / 2)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := writeAndRemove(filepath.Join(directory, fmt.Sprint(count.Add(1))), content); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func writeAndRemove(name string, content []byte) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Remove(name)
}
