package lab

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestWhatKeepsALabFromListening(t *testing.T) {
	for cause, want := range map[error]string{
		syscall.EADDRINUSE: "does another lab run?", syscall.EACCES: "below 1024", syscall.EADDRNOTAVAIL: "cannot assign",
	} {
		err := inUse("the DNS server", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", cause)})
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}
