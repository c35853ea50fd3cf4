// Package command reads a command line, and carries out what needs no server:
// version, licenses, help, completion, config show and config check. The others it returns to
// main with their Config. [Output] is the standard output of all commands, which remembers a
// failed write.
//
// It reads files only where the settings name them. It runs no goroutine.
package command
