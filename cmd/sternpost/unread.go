package main

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// exitUnread is the exit status of a program that a broken pipe has ended, as a shell tells it.
const exitUnread = 128 + int(syscall.SIGPIPE)

// errUnread ends what nobody reads.
var errUnread = errors.New("nobody reads on")

// whileRead does something that writes to w now and then, and ends it when the reader of w has gone, as head does behind a pipe. Without it that would be found at the next write
// only, which may be hours away.
func whileRead(ctx context.Context, w io.Writer, do func(context.Context) error) error {
	file, ok := w.(*os.File)
	if !ok {
		return do(ctx)
	}
	done, end, err := os.Pipe() // its end wakes the watch
	if err != nil {
		return err
	}
	defer done.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if unread(int(file.Fd()), int(done.Fd())) {
			cancel(errUnread)
		}
	}()
	err = do(ctx)
	gone := errors.Is(context.Cause(ctx), errUnread)
	end.Close()
	<-watched
	if gone {
		return quietly(exitUnread)
	}
	return err
}

// unread waits until the reader of one end of a pipe has gone, or until done is readable; then it says no. So it does where it cannot know.
func unread(written, done int) bool {
	for {
		files := []unix.PollFd{{Fd: int32(written)}, {Fd: int32(done), Events: unix.POLLIN}}
		if _, err := unix.Poll(files, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
		switch {
		case files[1].Revents != 0:
			return false
		case files[0].Revents != 0:
			return files[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
		}
	}
}
