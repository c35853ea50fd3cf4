// Package build says which copse this is: its version, and the commit that it was
// built from.
//
// It is pure and runs no goroutine.
package build
