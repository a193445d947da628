package main

import "golang.org/x/sys/unix"

const (
	// handlesForTheRest is how many file handles are kept for the store, the listeners and their clients, the DNS and the console.
	handlesForTheRest = 600
	// handlesOfAnAttempt is one connection, and another beside it while hosts race or a session waits for its next message.
	handlesOfAnAttempt = 2
	fewestAttempts     = 20
)

// attemptsByHandles is how many attempts the limit of open files allows at the same time. Go has raised the soft limit to the hard one.
func attemptsByHandles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0 // unknown: the configuration decides
	}
	return attemptsWith(limit.Cur)
}

func attemptsWith(handles uint64) int {
	handles = min(handles, 1<<20)
	if handles <= handlesForTheRest {
		return fewestAttempts
	}
	return max(int(handles-handlesForTheRest)/handlesOfAnAttempt, fewestAttempts)
}
