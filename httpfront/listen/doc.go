// Package listen opens the addresses that the server is reached at, for clients
// and for operators.
//
// It runs no goroutine: whoever opens a Listener serves and closes it.
package listen
