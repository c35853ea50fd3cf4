package raft

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

	"copse/config/logging"

	"github.com/lni/dragonboat/v4/logger"
)

// dragonboat takes one logger factory for the whole process, before its first use. So
// this is the one place with process-wide state: where its messages go.
var (
	logTarget     atomic.Pointer[slog.Logger]
	lateTicks     atomic.Pointer[logging.Seldom] // to the same
	installLogger sync.Once
)

// useLogger sends dragonboat's messages to log from now on; nil discards them.
func useLogger(to *slog.Logger) {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	logTarget.Store(to)
	lateTicks.Store(logging.NewSeldom(to))
	installLogger.Do(func() {
		logger.SetLoggerFactory(func(component string) logger.ILogger { return dragonboatLogger{component} })
	})
}

// dragonboatLogger forwards dragonboat's messages. What dragonboat logs as info, and the
// warnings with which it logs each step of raft, interest its developers only: they
// are debug messages here.
type dragonboatLogger struct{ component string }

func (l dragonboatLogger) SetLevel(logger.LogLevel) {}

func (l dragonboatLogger) tell(level slog.Level, format string, args []any) {
	forward(level, l.component, format, args)
}

func forward(level slog.Level, component, format string, args []any) {
	to, ctx := logTarget.Load(), context.Background()
	if !to.Enabled(ctx, level) {
		return
	}
	message := fmt.Sprintf(format, args...)
	attrs := make([]slog.Attr, 1, 3)
	attrs[0] = slog.String("component", component)
	to.LogAttrs(ctx, level, message, append(attrs, replicaIn(message)...)...)
}

func (l dragonboatLogger) Debugf(format string, args ...any) { l.tell(slog.LevelDebug, format, args) }
func (l dragonboatLogger) Infof(format string, args ...any)  { l.tell(slog.LevelDebug, format, args) }
func (l dragonboatLogger) Errorf(format string, args ...any) {
	level := slog.LevelError
	if l.component == "transport" {
		level = slog.LevelDebug // it repeats every second while a member is away; Replicas logs it once
	}
	l.tell(level, format, args)
}

func (l dragonboatLogger) Warningf(format string, args ...any) {
	if strings.HasSuffix(format, "LocalTick msgs in one batch") { // on a busy machine there are many
		lateTicks.Load().Warn("", "this machine is too busy for raft's clock; if it stays so, members lose their leader for no other reason", "component", "raft")
		return
	}
	level := slog.LevelWarn
	if l.component == "raft" || l.component == "config" || l.component == "transport" {
		level = slog.LevelDebug
	}
	l.tell(level, format, args)
}

// fatal is what ends the process when dragonboat can't go on; nil: a panic does.
var fatal atomic.Pointer[func(error)]

// endWith makes dragonboat's own panics, from now on, end the process through end.
func endWith(end func(error)) { fatal.Store(&end) }

// Panicf must not return: dragonboat would go on with corrupt state. While dragonboat is
// being started, its caller learns of the panic; see recoverDamage. Later it happens on
// some goroutine of dragonboat's, where the reason is more use than the stack.
func (l dragonboatLogger) Panicf(format string, args ...any) {
	reason, _, _ := strings.Cut(fmt.Sprintf(format, args...), "\n") // a stack may follow
	err := errors.New("raft: " + l.component + ": " + reason)
	if end := fatal.Load(); end != nil && !calledFrom("copse/actors/raft.newHost", "copse/actors/raft.(*Replicas).start") {
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

// replicaIn finds the shard and the replica that a message is about: dragonboat writes
// them as [00001:00002] somewhere in the text.
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
