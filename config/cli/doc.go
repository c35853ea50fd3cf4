// Package cli has the command lines of copse's client commands: get, set, ls, watch, member,
// user and the others that speak to a running server. [Line] declares each as a struct, whose
// tags say its flags, help and variables; kong reads them. To add one, declare it there, and
// carry it out in httpfront/client/commands.
//
// Lines that were written for etcdctl of the v2 API mean the same here: flags of all commands
// stand before or after the command's name, names have one dash or two, and a flag that the
// command doesn't have is a value when it follows the first operand. The variables are
// ETCDCTL_ENDPOINTS and the like; the same with COPSE_ take precedence.
//
// The settings of copse serve are not parsed here, but in package config, which says in one
// go everything that is wrong with them and where each value came from: see
// docs/decisions/2026-11-30-kong-for-commands.md. The package is pure, and runs no goroutine.
package cli
