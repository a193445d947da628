package spool

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// OpenDirectory is Open on the file system of this machine.
func OpenDirectory(c Config, log *zap.Logger) (*Store, error) { return Open(c, vfs.Default, log) }

// VerifyDirectory is Verify on the file system of this machine.
func VerifyDirectory(directory string) (Problems, error) { return Verify(directory, vfs.Default) }
