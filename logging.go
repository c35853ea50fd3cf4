package main

import (
	"io"
	"log/slog"
	"os"
	"time"
)

// newLog logs to w: as format says, or as text to a terminal and as JSON
// elsewhere. level may be changed while the log is in use.
//
// Every line has time, level and msg. What else it has goes by these names:
// component (main, http, tls, raft and the engine's other parts, store, disk),
// shard, node (a replica's id), index, term, err; durations in seconds end in
// _s, sizes in bytes in _b. Values are never logged, keys at debug only.
func newLog(format string, level *slog.LevelVar, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" || format != "json" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// since is how the log shows the time since a moment.
func since(began time.Time) slog.Attr {
	return slog.Float64("dur_s", time.Since(began).Round(time.Millisecond).Seconds())
}
