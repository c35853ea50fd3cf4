// Package command reads a command line, and carries out what needs no server:
// version, licenses, help, completion, config show and config check. What is left (serve,
// health, auth init, raftlog inspect and raftlog cut) it returns to main with the Config.
//
// It has the standard output of all commands, which remembers a failed write.
//
// It reads files only where the settings name them. It runs no goroutine.
package command
