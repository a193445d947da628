//go:build bench

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what the processes of a server have used so far.
type usage struct {
	cpu    time.Duration
	memory int64 // octets
}

// process is a line of /proc/PID/stat. Its CPU time includes that of children which have ended and were waited for.
type process struct {
	id, parent int
	cpu        time.Duration
}

// tick is the unit of CPU time in /proc: USER_HZ is 100 on every machine that Debian knows.
const tick = 10 * time.Millisecond

// usage adds up the server's process and all its descendants.
func (s *server) usage() (usage, error) {
	var sum usage
	if s.program == nil {
		return sum, nil
	}
	all, err := processes()
	if err != nil {
		return sum, err
	}
	ours := map[int]bool{s.command.Process.Pid: true}
	for more := true; more; {
		more = false
		for _, p := range all {
			if ours[p.parent] && !ours[p.id] {
				ours[p.id], more = true, true
			}
		}
	}
	for _, p := range all {
		if !ours[p.id] {
			continue
		}
		sum.cpu += p.cpu
		memory, err := peak(p.id)
		if err != nil {
			return sum, err
		}
		sum.memory += memory
	}
	return sum, nil
}

func processes() ([]process, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		p, err := parseProcess(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// parseProcess reads the line as proc(5) tells it. The name may have blanks and parentheses; what follows it has none.
func parseProcess(line string) (process, error) {
	id, rest, _ := strings.Cut(line, " (")
	_, rest, _ = cutLast(rest, ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return process{}, fmt.Errorf("%q has too few fields", line)
	}
	var p process
	var errs [2]error
	p.id, errs[0] = strconv.Atoi(id)
	p.parent, errs[1] = strconv.Atoi(fields[1])
	err := errors.Join(errs[:]...)
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, bad := strconv.ParseInt(field, 10, 64)
		p.cpu += time.Duration(ticks) * tick
		err = errors.Join(err, bad)
	}
	return p, err
}

// peak is the most memory that a process has had, less what it shares with others now: its share at the end, and what its resident
// memory was above that of the end. None when it has ended.
func peak(id int) (int64, error) {
	status, err := sizes(id, "status")
	if err != nil {
		return 0, err
	}
	share, err := sizes(id, "smaps_rollup")
	return max(0, status["VmHWM"]-status["VmRSS"]+share["Pss"]), err
}

// sizes are the lines of a file of the process that give a size, in octets. There are none when it has ended.
func sizes(id int, name string) (map[string]int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", id, name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil, nil
	}
	octets := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		kilo, ok := strings.CutSuffix(strings.TrimSpace(value), " kB")
		if number, bad := strconv.ParseInt(kilo, 10, 64); ok && bad == nil {
			octets[key] = number << 10
		}
	}
	return octets, err
}
