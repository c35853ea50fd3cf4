// Package commands carries out the client commands that package cli parses: copse get, watch,
// lock, member, user, top and the others. What it prints, and its exit codes, are those of
// etcdctl of the v2 API, as bench/compat compares; what etcdctl doesn't have, and what it says of
// mistakes, is copse's own.
//
// Run runs one command in the goroutine of its caller. Only copse lock and copse top have
// others, which end before Run returns. Colour, and hints of what to do next, are
// for terminals: a script sees what it would see of etcdctl.
package commands
