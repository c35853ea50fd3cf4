// Package writemix generates the writes of the fault tests: every kind of write
// that v2 has, drawn from a seed, on few keys, so that each key is written,
// removed and written again many times between two faults.
//
// A Mix belongs to one goroutine, its writer's; it sends through the Caller.
package writemix
