// Package config turns a command line and an environment into one checked
// Config, under etcd's names: an etcd v2 unit file, manifest or compose file
// works as it is.
//
// One table (settings.go) says everything about a setting: its flag, its
// default, its help, how it is read and printed. The environment's name
// follows from the flag's: --data-dir is COPSE_DATA_DIR or ETCD_DATA_DIR. A flag
// wins over the environment, COPSE_ over ETCD_; the Config remembers where each
// value came from.
//
// Flags of etcd that have no meaning here are accepted and named in one warning;
// those whose silent loss would be dangerous (TLS first of all) are refused.
//
// The package is pure: it reads no file, no clock, no environment of its own,
// never exits, and runs no goroutine. main alone imports it, and hands what the
// parts need down to them as plain values.
//
//	args, environ ──▶ given (load.go) ──▶ Config ──▶ derive ──▶ validate ──▶ main
//	                     every value with its origin        every complaint at once
package config
