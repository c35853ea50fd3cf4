package httpfront

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

// logWriter writes the server's log on a goroutine of its own, so that who logs never waits for
// who reads the log: a poll loop would keep all its clients waiting. It has a goroutine from start
// to stop.
type logWriter struct {
	lines    chan logLine
	leftOut  atomic.Int64 // lines that found no room, since the last that says so
	stopping chan struct{}
	done     chan struct{} // closed when all lines are written after stopping
	began    sync.Once
	ended    sync.Once
}

// logLine is a line on its way.
type logLine struct {
	to     slog.Handler
	record slog.Record
}

// logRoom is how many lines may wait; further ones are left out and counted.
const logRoom = 256

func newLogWriter() *logWriter {
	return &logWriter{lines: make(chan logLine, logRoom), stopping: make(chan struct{}), done: make(chan struct{})}
}

// logger returns a log that doesn't block, and whose lines w writes to log.
func (w *logWriter) logger(log *slog.Logger) *slog.Logger {
	return slog.New(logSender{log.Handler(), w})
}

// start starts the goroutine. Later calls do nothing.
func (w *logWriter) start() { w.began.Do(func() { go w.run() }) }

// stop ends the goroutine once all lines are written. When ctx ends first, it returns its error:
// nothing ends a write that nobody reads.
func (w *logWriter) stop(ctx context.Context) error {
	w.start()
	w.ended.Do(func() { close(w.stopping) })
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *logWriter) run() {
	defer close(w.done)
	for {
		select {
		case l := <-w.lines:
			w.write(l)
		case <-w.stopping:
			for range len(w.lines) {
				w.write(<-w.lines) // never blocks: run is the only receiver
			}
			return
		}
	}
}

// write writes l, and how many are missing after it.
func (w *logWriter) write(l logLine) {
	_ = l.to.Handle(context.Background(), l.record) // as a slog.Logger does
	if n := w.leftOut.Swap(0); n > 0 {
		slog.New(l.to).Warn("the log is read too slowly: lines were left out", "lines", n)
	}
}

// logSender is the handler of a log that w writes.
type logSender struct {
	slog.Handler // that w writes to
	w            *logWriter
}

// Handle implements slog.Handler.
func (h logSender) Handle(_ context.Context, r slog.Record) error {
	select {
	case h.w.lines <- logLine{h.Handler, r.Clone()}:
	default:
		h.w.leftOut.Add(1)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h logSender) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logSender{h.Handler.WithAttrs(attrs), h.w}
}

// WithGroup implements slog.Handler.
func (h logSender) WithGroup(name string) slog.Handler {
	return logSender{h.Handler.WithGroup(name), h.w}
}
