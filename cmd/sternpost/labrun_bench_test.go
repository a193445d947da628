package main

import (
	"context"
	"io"
	"testing"
	"time"
)

// BenchmarkLabRunFiveDays is a scenario of five days of retries, from its text to the printed report. b.Loop times it by the clock outside of the bubble.
func BenchmarkLabRunFiveDays(b *testing.B) {
	sh := &shell{ctx: context.Background(), stdout: io.Discard, stderr: io.Discard}
	days := 0.0
	for b.Loop() {
		scenario, err := loadScenario("five-days-down")
		if err != nil {
			b.Fatal(err)
		}
		told, err := labRunCommand{}.report(sh, scenario, 0)
		if err != nil {
			b.Fatal(err)
		}
		days += told.lasted().Hours() / 24
	}
	b.ReportMetric(days/b.Elapsed().Seconds(), "days/s")
	b.ReportMetric(float64(b.Elapsed().Round(time.Millisecond))/float64(time.Second)/float64(b.N), "s/run")
}
