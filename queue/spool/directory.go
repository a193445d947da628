package spool

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// OpenDirectory is Open on the file system of this machine.
func OpenDirectory(c Config, log *zap.Logger) (*Store, error) { return Open(c, vfs.Default, log) }

// VerifyDirectory is Verify on the file system of this machine.
func VerifyDirectory(directory string) (Problems, error) { return Verify(directory, vfs.Default) }

// OpenMemory is Open on a file system in memory, which is gone with the Store. It is made for bubbles of testing/synctest: where nothing is written, nothing wakes up.
func OpenMemory(c Config, log *zap.Logger) (*Store, error) { return open(c, vfs.NewMem(), log, true) }
