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
	name     string
	messages int
	took     time.Duration
	cpu      time.Duration
	memory   int64 // octets
}

// rate is in messages per second.
func (r result) rate() float64 { return float64(r.messages) / r.took.Seconds() }

// effort is CPU seconds per 1000 messages.
func (r result) effort() float64 { return r.cpu.Seconds() / float64(r.messages) * 1000 }

func (r result) String() string {
	return fmt.Sprintf("%-22s %8.0f messages/s  %6.3f CPU-s per 1000  %7.1f MB peak", r.name, r.rate(), r.effort(), float64(r.memory)/1e6)
}

// summary has a line for each case with the median and the range of its runs, and the ratios of the medians.
func summary(cases []one, results []result) string {
	var text strings.Builder
	rates := map[string]float64{}
	text.WriteString("\nmedian (range)\n")
	for _, c := range cases {
		of := func(value func(result) float64) []float64 {
			var values []float64
			for _, r := range results {
				if r.name == c.name {
					values = append(values, value(r))
				}
			}
			slices.Sort(values)
			return values
		}
		rate, effort := of(result.rate), of(result.effort)
		memory := of(func(r result) float64 { return float64(r.memory) / 1e6 })
		rates[c.name] = median(rate)
		fmt.Fprintf(&text, "%-22s %s messages/s, %s CPU-s per 1000, %s MB\n", c.name,
			spread("%.0f", rate), spread("%.3f", effort), spread("%.0f", memory))
	}
	text.WriteString(ratios(rates))
	return text.String()
}

// ratios compares Sternpost with the better Postfix and with no server at all.
func ratios(rates map[string]float64) string {
	ours := rates["Sternpost"]
	postfix := max(rates["Postfix"], rates["Postfix, 10 sessions"])
	var text string
	if ours > 0 && postfix > 0 {
		text += fmt.Sprintf("Sternpost / the better Postfix: %.2f\n", ours/postfix)
	}
	if ours > 0 && rates["no MTA"] > 0 {
		text += fmt.Sprintf("Sternpost / no MTA:             %.2f\n", ours/rates["no MTA"])
	}
	return text
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
