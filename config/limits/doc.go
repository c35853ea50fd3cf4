// Package limits finds out what the system lets this process use, memory and open
// files, and divides it: a container, or a unit with MemoryMax, has less memory
// than its machine, and clients must leave files for the log and the stores. It
// also says how late the system may wake the process, and gives back the memory
// that only the start has used.
//
// It runs no goroutine. main applies what it finds.
package limits
