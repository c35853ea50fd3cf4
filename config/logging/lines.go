package logging

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"time"
)

// lines writes what is logged on a goroutine of its own, so that who logs never waits for who
// reads the log: a poll loop would keep all its clients waiting, and a stop would never end.
type lines struct {
	to      io.Writer
	missing func(n int) // writes a line to it that says so
	done    chan struct{}

	mu      sync.Mutex
	more    sync.Cond // signaled when something waits, or at the end
	waiting []byte
	leftOut int
	ended   bool // what comes now is lost
}

const (
	linesRoom     = 1 << 20     // bytes that may wait; when there are more, they are left out and counted
	linesKept     = 64 << 10    // of a buffer, for the next lines
	linesPatience = time.Second // for the reader, at the end
)

var newline = []byte("\n")

func newLines(to io.Writer, handler func(io.Writer) slog.Handler) *lines {
	direct := slog.New(handler(to))
	l := &lines{to: to, done: make(chan struct{}), missing: func(n int) {
		direct.Warn("the log is read too slowly: lines were left out", "component", "main", "lines", n)
	}}
	l.more.L = &l.mu
	go l.run()
	return l
}

// Write takes one line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting)+len(line) > linesRoom { // the last line may say why the process ends
		l.leftOut += bytes.Count(l.waiting, newline)
		l.waiting = l.waiting[:0]
	}
	l.waiting = append(l.waiting, line...)
	l.more.Signal()
	return len(line), nil
}

func (l *lines) run() {
	defer close(l.done)
	var writing []byte
	for {
		l.mu.Lock()
		for len(l.waiting) == 0 && l.leftOut == 0 && !l.ended {
			l.more.Wait()
		}
		if cap(writing) > linesKept {
			writing = nil
		}
		writing, l.waiting = l.waiting, writing[:0]
		leftOut, ended := l.leftOut, l.ended
		l.leftOut = 0
		l.mu.Unlock()
		if len(writing) > 0 {
			_, _ = l.to.Write(writing) // there is nowhere to say that it failed
		}
		if leftOut > 0 {
			l.missing(leftOut)
		}
		if ended {
			return
		}
	}
}

// end returns once all is written, or after linesPatience. It may be called again.
func (l *lines) end() {
	l.mu.Lock()
	l.ended = true
	l.more.Signal()
	l.mu.Unlock()
	late := time.NewTimer(linesPatience)
	defer late.Stop()
	select {
	case <-l.done:
	case <-late.C:
	}
}
