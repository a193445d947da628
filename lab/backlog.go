package lab

import (
	"errors"
	"net"
	"syscall"
)

// shortenQueue makes the kernel hold one connection that is not accepted. listen(2) on a listening socket changes its backlog.
func shortenQueue(l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), 0) })
	return errors.Join(err, failed)
}
