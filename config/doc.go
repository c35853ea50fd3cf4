// Package config turns a command line, an environment and a file into one
// checked Config, under etcd's names: an etcd v2 unit file, manifest or compose
// file works as it is.
//
// One table (table.go) says everything about a setting: its flag, its default,
// its help, how it is read and printed. The other names follow from the flag's:
// --data-dir is COPSE_DATA_DIR or ETCD_DATA_DIR in the environment, and data-dir
// in a file. A flag wins over the environment, COPSE_ over ETCD_, the environment
// over the file; the Config remembers where each value came from. Help,
// completion and docs/CONFIG.md are made from the same table. command.go has the
// commands that a line can begin with; main carries them out.
//
// Flags of etcd that have no meaning here are accepted and named in one warning;
// those whose silent loss would be dangerous are refused.
//
// The package is pure: it reads no clock, no environment and no file but through
// what it is handed, never exits, and runs no goroutine. main alone imports it,
// and hands what the parts need down to them as plain values.
//
//	args ────┐
//	environ ─┼─▶ texts (load.go) ──▶ Config ──▶ derive ──▶ validate ──▶ main
//	file ────┘   each with its origin              every complaint at once
package config
