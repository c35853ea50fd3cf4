// Package config turns a command line, an environment and a file into one checked Config.
// Settings have etcd's names: a unit file, manifest or compose file for etcd v2 works
// unchanged.
//
// One table (table.go) describes each setting: its flag, its help, how it is parsed and
// printed. Other names follow from the flag's: --data-dir is COPSE_DATA_DIR or
// ETCD_DATA_DIR in the environment, and data-dir in a file. Flags take precedence over the
// environment, COPSE_ over ETCD_, the environment over the file; the Config records where
// each value came from. Help, completion and docs/CONFIG.md are generated from the table.
// All defaults are in [Default]: the parts of the server have none. command.go has the
// grammar of the commands; package command and main carry them out.
//
// Flags of etcd that have no effect here are ignored with a warning, or rejected if
// ignoring them would be dangerous.
//
// The package is pure: it reads no clock, no environment, and files only through the
// function it is handed; it never exits and runs no goroutine. Only main and package
// command import it; main passes plain values to the parts.
//
//	args ────┐
//	environ ─┼─▶ texts (load.go) ──▶ Config ──▶ derive ──▶ validate ──▶ main
//	file ────┘   each with its origin              every complaint at once
package config
