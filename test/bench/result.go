//go:build bench

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is what one run of one case showed.
type result struct {
	server   string
	traffic  string
	messages int
	took     time.Duration
	cpu      time.Duration // of the server
	sender   time.Duration // CPU time of the sender
	memory   int64         // octets
}

// rate is in messages per second.
func (r result) rate() float64 { return float64(r.messages) / r.took.Seconds() }

// effort is CPU seconds per 1000 messages.
func (r result) effort() float64 { return r.per1000(r.cpu) }

// sending is the same of the sender.
func (r result) sending() float64 { return r.per1000(r.sender) }

func (r result) per1000(d time.Duration) float64 { return d.Seconds() / float64(r.messages) * 1000 }

// group is what results that are compared have in common.
func (r result) group() string { return fmt.Sprintf("%s, %d messages", r.traffic, r.messages) }

func (r result) String() string {
	return fmt.Sprintf("%-51s %-20s %6.0f messages/s  %6.3f CPU-s per 1000  %6.1f MB peak  (sender %.3f CPU-s per 1000)",
		r.group(), r.server, r.rate(), r.effort(), megabytes(r.memory), r.sending())
}

func megabytes(octets int64) float64 { return float64(octets) / 1e6 }

// summary has, for each group, a line for each server with the median and the range of its runs, and the ratios of the medians.
func summary(results []result) string {
	var text strings.Builder
	text.WriteString("\nmedian (range)\n")
	for _, group := range distinct(results, result.group) {
		fmt.Fprintf(&text, "\n%s\n", group)
		same := only(results, result.group, group)
		for _, server := range distinct(same, func(r result) string { return r.server }) {
			runs := only(same, func(r result) string { return r.server }, server)
			fmt.Fprintf(&text, "  %-20s %s messages/s, %s CPU-s per 1000, %s MB; sender %s CPU-s per 1000\n", server,
				spread("%.0f", sorted(runs, result.rate)), spread("%.3f", sorted(runs, result.effort)),
				spread("%.0f", sorted(runs, func(r result) float64 { return megabytes(r.memory) })), spread("%.3f", sorted(runs, result.sending)))
		}
		text.WriteString(ratios(same))
	}
	return text.String()
}

// ratios compares Sternpost with the better Postfix and with no server at all.
func ratios(same []result) string {
	ours, bare := medianRate(same, sternpost), medianRate(same, noServer)
	other := medianRate(same, better(same))
	var text string
	if ours > 0 && other > 0 {
		text += fmt.Sprintf("  Sternpost / the better Postfix: %.2f\n", ours/other)
	}
	if ours > 0 && bare > 0 {
		text += fmt.Sprintf("  Sternpost / no MTA:             %.2f\n", ours/bare)
	}
	return text
}

// better is the Postfix that was faster.
func better(same []result) string {
	if medianRate(same, postfix) > medianRate(same, postfixWith10) {
		return postfix
	}
	return postfixWith10
}

func medianRate(same []result, server string) float64 {
	return median(sorted(only(same, func(r result) string { return r.server }, server), result.rate))
}

// distinct are the values that the results have, in the order in which they come.
func distinct(results []result, of func(result) string) []string {
	var values []string
	for _, r := range results {
		if !slices.Contains(values, of(r)) {
			values = append(values, of(r))
		}
	}
	return values
}

// only are the results with this value.
func only(results []result, of func(result) string, value string) []result {
	return slices.DeleteFunc(slices.Clone(results), func(r result) bool { return of(r) != value })
}

func sorted(results []result, value func(result) float64) []float64 {
	var values []float64
	for _, r := range results {
		values = append(values, value(r))
	}
	slices.Sort(values)
	return values
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func spread(verb string, sorted []float64) string {
	if len(sorted) == 0 {
		return "none"
	}
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", median(sorted), sorted[0], sorted[len(sorted)-1])
}

// machine says on what this ran.
func machine(latency time.Duration) string {
	load, _ := os.ReadFile("/proc/loadavg")
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := bytes.Cut(text, []byte("model name\t: "))
	model, _, _ = bytes.Cut(model, []byte("\n"))
	return fmt.Sprintf("%d cores (%s), load before %s, a write of 4 KiB and fsync takes %v",
		runtime.NumCPU(), model, bytes.TrimSpace(load), latency.Round(time.Microsecond))
}

// syncLatency is the median time of a small write and its fsync on the disk of the queues.
func syncLatency(dir string) (time.Duration, error) {
	file, err := os.Create(filepath.Join(dir, "latency"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var times []time.Duration
	for range 100 {
		start := time.Now()
		if _, err := file.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
