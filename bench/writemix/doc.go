// Package writemix is what the fault tests' writers write: every kind of write
// that v2 has, drawn from a seed, on few keys, so that each is written,
// removed and written again many times between two faults.
//
// A Mix belongs to one goroutine, its writer's; it sends through the Caller.
package writemix
