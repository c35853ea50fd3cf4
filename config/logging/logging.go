package logging

import (
	"io"
	"log/slog"
	"net"
	"os"
	"time"
)

// New returns a log that writes to w, the level that it follows (changing it takes effect at once),
// and what ends it: that returns once all lines are written, or, if they are read too slowly, after
// a second. Who logs never waits. The format is text, json or auto, which is text on a terminal and JSON
// elsewhere.
func New(format string, level slog.Level, w io.Writer) (log *slog.Logger, current *slog.LevelVar, end func()) {
	current = new(slog.LevelVar)
	current.Set(level)
	options := &slog.HandlerOptions{Level: current, ReplaceAttr: readable}
	handler := func(to io.Writer) slog.Handler { return slog.NewJSONHandler(to, options) }
	if format == "text" || format != "json" && isTerminal(w) {
		handler = func(to io.Writer) slog.Handler { return slog.NewTextHandler(to, options) }
	}
	l := newLines(w, handler)
	return slog.New(handler(l)), current, l.end
}

// readable gives addresses and durations the form of the other fields, which JSON has none of.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case net.Addr:
		return slog.String(a.Key, v.String())
	case time.Duration:
		return slog.Float64(a.Key+"_s", v.Round(time.Microsecond).Seconds())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Since is the field for the time that has passed since a moment.
func Since(began time.Time) slog.Attr {
	return slog.Float64("dur_s", time.Since(began).Round(time.Millisecond).Seconds())
}
