package actors

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/logger"
)

// The engine takes one logger factory for the whole process, before its first
// use, and the old Pebble below its log writes to the standard library's logger.
// So this is the one place with state of the process: where their messages go
// now.
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
		log.SetFlags(0)
		log.SetOutput(standardLog{})
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
func (l engineLogger) Errorf(format string, args ...any) { l.tell(slog.LevelError, format, args) }

func (l engineLogger) Warningf(format string, args ...any) {
	level := slog.LevelWarn
	if l.component == "raft" || l.component == "config" {
		level = slog.LevelDebug
	}
	l.tell(level, format, args)
}

// Panicf must not return: the engine would go on with corrupt state.
func (l engineLogger) Panicf(format string, args ...any) {
	panic("raft: " + l.component + ": " + fmt.Sprintf(format, args...))
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

// standardLog is where the standard library's logger writes to. All that uses
// it is the Pebble below the engine's log, whose news are for its developers,
// but for the last words before it gives up: those come through a Fatalf.
type standardLog struct{}

func (standardLog) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	var callers [16]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		if strings.HasSuffix(frame.Function, ".Fatalf") {
			level = slog.LevelError
		}
	}
	tellEngine(level, "logdb", "%s", []any{strings.TrimRight(string(line), "\n")})
	return len(line), nil
}
