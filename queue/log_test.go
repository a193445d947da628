package queue_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The delivery line has the keys that docs/log.md lists, and no others.
func TestDeliveryLine(t *testing.T) {
	text, err := os.ReadFile("../docs/log.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(text)) {
		if key, _, found := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); found && strings.HasPrefix(line, "| `") {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	bubble(t, func(t *testing.T) {
		var log strings.Builder
		encoder := zap.NewProductionEncoderConfig()
		encoder.TimeKey = "time" // as serve writes it
		core := zapcore.NewCore(zapcore.NewJSONEncoder(encoder), zapcore.AddSync(&log), zap.InfoLevel)
		w := newWorld(t)
		w.stop()
		<-w.ended
		w.log = zap.New(core)
		w.begin(w.store)
		w.submit("me@us.test", "you@a.test")
		synctest.Wait()
		w.stop()
		<-w.ended
		var line map[string]any
		if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
			t.Fatalf("%v in %q", err, log.String())
		}
		var got []string
		for key := range line {
			got = append(got, key)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the line has\n%v\ndocs/log.md\n%v", got, want)
		}
	})
}
