package delivery

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// benchmarkLines is 10 MB of mail as it is: lines of about 70 octets, a few of which begin with a dot.
func benchmarkLines(lineEnd string) []byte {
	line := strings.Repeat("seven words of plain text in one line, ", 2)[:70] + lineEnd
	block := strings.Repeat(line, 1000) + ".dotted" + lineEnd
	return []byte("Subject: benchmark" + lineEnd + lineEnd + strings.Repeat(block, 10<<20/len(block)))
}

// bareWriter hides every other method of io.Discard, and so does bareReader: a connection has no short cuts either.
type bareWriter struct{ io.Writer }

type bareReader struct{ io.Reader }

func BenchmarkContent(b *testing.B) {
	for _, end := range []struct{ name, lineEnd string }{{"CRLF", "\r\n"}, {"LF", "\n"}} {
		text := benchmarkLines(end.lineEnd)
		b.Run("data/"+end.name, func(b *testing.B) {
			benchmarkWrite(b, text, form{stuffed: true})
			b.StopTimer()
			ours := float64(b.Elapsed()) / float64(b.N)
			b.ReportMetric(float64(dotWriterTime(text))/ours, "x-DotWriter")
		})
		b.Run("bdat/"+end.name, func(b *testing.B) { benchmarkWrite(b, text, form{}) })
		b.Run("inspect/"+end.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := inspect(bareReader{bytes.NewReader(text)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchmarkWrite(b *testing.B, text []byte, f form) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		writeOnce(b, text, f)
	}
}

func writeOnce(b *testing.B, text []byte, f form) {
	if _, err := writeContent(bareWriter{io.Discard}, bareReader{bytes.NewReader(text)}, f); err != nil {
		b.Fatal(err)
	}
}

// dotWriterTime is what net/textproto needs for text, the best of three.
func dotWriterTime(text []byte) time.Duration {
	best := time.Duration(1 << 62)
	for range 3 {
		start := time.Now()
		w := textproto.NewWriter(bufio.NewWriterSize(bareWriter{io.Discard}, contentChunk)).DotWriter()
		_, _ = io.Copy(w, bareReader{bytes.NewReader(text)})
		_ = w.Close()
		best = min(best, time.Since(start))
	}
	return best
}

func BenchmarkDowngrade(b *testing.B) {
	text := bytes.ReplaceAll(benchmarkLines("\n"), []byte("plain"), []byte("plän"))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		plan, err := planDowngrade(bytes.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		writeOnce(b, text, form{stuffed: true, downgrade: plan})
	}
}
