package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"copse/actors"
	"copse/config"
)

// runRaftlog looks at the raft log of a server that is stopped, or cuts it at its damage.
func runRaftlog(name string, c *config.Config, stdout, stderr io.Writer) int {
	var err error
	switch operands := c.Options.Operands; {
	case name == "raftlog inspect":
		err = actors.InspectLog(c.DataDir, stdout)
	case len(operands) == 1:
		err = actors.CutLog(c.DataDir, operands[0])
	default:
		fmt.Fprintln(stderr, "copse raftlog cut needs one place, as copse raftlog inspect names it")
		return exitUsage
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitCode(err)
	}
	fmt.Fprintln(stdout, "the raft log is sound")
	return 0
}

// endWith returns what ends the process when raft can't go on, with one line.
func endWith(log *slog.Logger) func(error) {
	return func(err error) {
		log.Error("copse can't go on", "component", "main", "err", err)
		os.Exit(exitCode(err))
	}
}
