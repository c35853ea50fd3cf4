package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/logger"
)

// The engine takes one logger factory for the whole process, before its first use. So
// this is the one place with state of the process: where its messages go now.
var (
	engineLog     atomic.Pointer[slog.Logger]
	engineLogOnce sync.Once
)

// useLogger sends the engine's messages to log from now on.
func useLogger(to *slog.Logger) {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	engineLog.Store(to)
	engineLogOnce.Do(func() {
		logger.SetLoggerFactory(func(component string) logger.ILogger { return engineLogger{component} })
	})
}

// engineLogger hands the engine's messages on. What the engine calls info, and
// raft's every step that it warns of, is of interest to its developers: debug
// here.
type engineLogger struct{ component string }

func (l engineLogger) SetLevel(logger.LogLevel) {}

func (l engineLogger) tell(level slog.Level, format string, args []any) {
	tellEngine(level, l.component, format, args)
}

func tellEngine(level slog.Level, component, format string, args []any) {
	to, ctx := engineLog.Load(), context.Background()
	if !to.Enabled(ctx, level) {
		return
	}
	message := fmt.Sprintf(format, args...)
	attrs := make([]slog.Attr, 1, 3)
	attrs[0] = slog.String("component", component)
	to.LogAttrs(ctx, level, message, append(attrs, replicaIn(message)...)...)
}

func (l engineLogger) Debugf(format string, args ...any) { l.tell(slog.LevelDebug, format, args) }
func (l engineLogger) Infof(format string, args ...any)  { l.tell(slog.LevelDebug, format, args) }
func (l engineLogger) Errorf(format string, args ...any) {
	level := slog.LevelError
	if l.component == "transport" {
		level = slog.LevelDebug // once a second while a member is away; replicaEvents tells of it once
	}
	l.tell(level, format, args)
}

func (l engineLogger) Warningf(format string, args ...any) {
	level := slog.LevelWarn
	if l.component == "raft" || l.component == "config" || l.component == "transport" {
		level = slog.LevelDebug
	}
	l.tell(level, format, args)
}

// engineEnd is what ends the process when the engine can't go on; nil: a panic does.
var engineEnd atomic.Pointer[func(error)]

// endWith makes the engine's own panics, from now on, end the process through end.
func endWith(end func(error)) { engineEnd.Store(&end) }

// Panicf must not return: the engine would go on with corrupt state. While the engine is
// being started the caller hears of it; see damage. Later it is on some goroutine of its
// own, and the reason is more use than the stack.
func (l engineLogger) Panicf(format string, args ...any) {
	reason, _, _ := strings.Cut(fmt.Sprintf(format, args...), "\n") // a stack may follow
	err := errors.New("raft: " + l.component + ": " + reason)
	if end := engineEnd.Load(); end != nil && !calledFrom("copse/actors.NewHost", "copse/actors.(*Host).startReplica") {
		(*end)(err)
		select {}
	}
	panic(err.Error())
}

// calledFrom reports whether one of the functions is on this goroutine's stack.
func calledFrom(functions ...string) bool {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for more := true; more; {
		var frame runtime.Frame
		if frame, more = frames.Next(); slices.Contains(functions, frame.Function) {
			return true
		}
	}
	return false
}

// replicaIn finds the shard and the replica that a message of the engine's is
// about: it writes them as [00001:00002] somewhere in the text.
func replicaIn(message string) []slog.Attr {
	for rest := message; ; {
		_, after, ok := strings.Cut(rest, "[")
		if !ok {
			return nil
		}
		rest = after
		inside, _, _ := strings.Cut(after, "]")
		shard, replica, ok := strings.Cut(inside, ":")
		if !ok || len(shard) < 5 || len(replica) < 5 {
			continue
		}
		s, err := strconv.ParseUint(shard, 10, 64)
		if err != nil {
			continue
		}
		r, err := strconv.ParseUint(replica, 10, 64)
		if err != nil {
			continue
		}
		return []slog.Attr{slog.Uint64("shard", s), slog.String("node", strconv.FormatUint(r, 16))}
	}
}
