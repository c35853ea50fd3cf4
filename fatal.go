package main

import (
	"log/slog"
	"os"
)

// endWith returns what ends the process when raft can't go on, with one line.
func endWith(log *slog.Logger) func(error) {
	return func(err error) {
		log.Error("copse can't go on", "component", "main", "err", err)
		os.Exit(exitCode(err))
	}
}
