package main

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sternpost/mail"
)

// logConfig is the section [log] of the configuration.
type logConfig struct {
	Level string `toml:"level" doc:"The least level that is logged: \"debug\", \"info\", \"warn\" or \"error\". Commands that end by themselves, such as deliver, log from \"warn\" on unless this is set."`
}

func defaultLogConfig() logConfig { return logConfig{Level: "info"} }

func (l logConfig) check() error {
	switch l.Level {
	case "debug", "info", "warn", "error":
		return nil
	}
	return fmt.Errorf("log.level: %q is not debug, info, warn or error", l.Level)
}

// level was checked when the configuration was loaded.
func (l logConfig) level() zapcore.Level {
	level, _ := zapcore.ParseLevel(l.Level)
	return level
}

// newLog is the log of a command that ends by itself: lines for people on stderr, while the story has stdout.
func newLog(w io.Writer, c *configuration) *zap.Logger {
	level := zapcore.WarnLevel
	if c.sources["log.level"].kind != "default" {
		level = c.Log.level()
	}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		LevelKey: "level", MessageKey: "message", EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder, ConsoleSeparator: ": ",
	})
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)).Named("sternpost")
}

// newServiceLog is the log of the agent: one JSON object a line.
func newServiceLog(w io.Writer, level zapcore.LevelEnabler) *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", MessageKey: "msg", EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeTime: encodeTime,
		EncodeDuration: zapcore.MillisDurationEncoder, LineEnding: "\n",
	})
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(printable{w})), level))
}

// encodeTime writes times as all of our JSON has them; the empty text is none.
func encodeTime(t time.Time, encoder zapcore.PrimitiveArrayEncoder) {
	if t.IsZero() {
		encoder.AppendString("")
		return
	}
	encoder.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// printable escapes what a stranger said and is not printable: a log is read on a terminal.
type printable struct{ io.Writer }

func (p printable) Write(line []byte) (int, error) {
	escaped := line
	if bytes.ContainsFunc(line, func(c rune) bool { return c >= 0x7f }) { // below, JSON itself has escaped all
		escaped = mail.EscapeJSON(line)
	}
	if _, err := p.Writer.Write(escaped); err != nil {
		return 0, err
	}
	return len(line), nil
}
