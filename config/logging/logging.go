// Package logging makes the log of the process.
//
// Every line has time, level and msg. Its other fields go by these names:
// component (main, http, tls, raft and the other parts of dragonboat, store, disk),
// shard, node (a replica's id), index, term, err; durations in seconds end in
// _s, sizes in bytes in _b. Values are never logged, keys at debug only.
//
// The package runs no goroutine.
package logging

import (
	"io"
	"log/slog"
	"os"
	"time"
)

// New returns a log that writes to w, and the level that it follows: changing the
// level takes effect at once. The format is text, json or auto, which is text on a
// terminal and JSON elsewhere.
func New(format string, level slog.Level, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	current := new(slog.LevelVar)
	current.Set(level)
	options := &slog.HandlerOptions{Level: current}
	if format == "text" || format != "json" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options)), current
	}
	return slog.New(slog.NewJSONHandler(w, options)), current
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
