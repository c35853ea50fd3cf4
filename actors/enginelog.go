package actors

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/logger"
)

// The engine takes one logger factory for the whole process, before its first
// use, so this is the one place with state of the process: where its messages
// go now.
var (
	engineLog     atomic.Pointer[slog.Logger]
	engineLogOnce sync.Once
)

// useLogger sends the engine's messages to log from now on.
func useLogger(log *slog.Logger) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	engineLog.Store(log)
	engineLogOnce.Do(func() {
		logger.SetLoggerFactory(func(component string) logger.ILogger { return engineLogger{component} })
	})
}

// engineLogger hands the engine's messages on. What the engine calls info, and
// raft's every step that it warns of, is of interest to its developers: debug
// here.
type engineLogger struct{ component string }

func (l engineLogger) SetLevel(logger.LogLevel) {}

func (l engineLogger) log() *slog.Logger { return engineLog.Load().With("component", l.component) }

func (l engineLogger) Debugf(format string, args ...any) {
	l.log().Debug(fmt.Sprintf(format, args...))
}

func (l engineLogger) Infof(format string, args ...any) {
	l.log().Debug(fmt.Sprintf(format, args...))
}

func (l engineLogger) Warningf(format string, args ...any) {
	level := slog.LevelWarn
	if l.component == "raft" || l.component == "config" {
		level = slog.LevelDebug
	}
	l.log().Log(context.Background(), level, fmt.Sprintf(format, args...))
}

func (l engineLogger) Errorf(format string, args ...any) {
	l.log().Error(fmt.Sprintf(format, args...))
}

// Panicf must not return: the engine would go on with corrupt state.
func (l engineLogger) Panicf(format string, args ...any) {
	panic("raft: " + l.component + ": " + fmt.Sprintf(format, args...))
}
