// Command copse serves the etcd v2 HTTP API from raft groups on disk. README.md
// says how to start it, docs/ARCHITECTURE.md how it works.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"copse/actors"
	"copse/config"
	"copse/statemachine"
)

// version is copse's own; clients see the etcd version that it answers like.
const version = "0.1.0"

// Exit codes.
const (
	exitFailed  = 1 // something went wrong while serving
	exitUsage   = 2 // the command line or environment can't be followed
	exitLocked  = 3 // another copse has the data directory
	exitNewer   = 4 // the data is of another copse's format
	exitCorrupt = 5 // the data is damaged
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// runServer serves until ctx is done; it returns the exit code.
func runServer(ctx context.Context, c *config.Config, warnings []string, host string, stderr io.Writer, began time.Time) int {
	level := new(slog.LevelVar)
	level.Set(c.LogLevel)
	log := newLog(c.LogFormat, level, stderr)
	for _, w := range warnings {
		log.Warn(w, "component", "main")
	}
	keepToMemory(c, log)
	err := serve(ctx, c, host, log, level, began)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // told to stop before it was let into a cluster
	}
	switch {
	case err == nil:
		log.Info("copse has stopped", "component", "main", since(began))
	case errors.Is(err, actors.ErrRemoved): // now, or before it was started again
		log.Warn("copse has stopped for good", "component", "main", "why", err)
	default:
		log.Error("copse can't go on", "component", "main", "err", err)
		return exitCode(err)
	}
	return 0
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, actors.ErrDirContradicted):
		return exitUsage
	case errors.Is(err, actors.ErrDirLocked):
		return exitLocked
	case errors.Is(err, actors.ErrDirNewer), errors.Is(err, statemachine.ErrNewerFormat), errors.Is(err, statemachine.ErrOlderFormat):
		return exitNewer
	case errors.Is(err, actors.ErrDirCorrupt), errors.Is(err, actors.ErrDirForeign), errors.Is(err, actors.ErrRaftDamaged), errors.Is(err, statemachine.ErrDamaged):
		return exitCorrupt
	default:
		return exitFailed
	}
}
