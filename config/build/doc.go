// Package build says which copse this is: its version, the commit that it was
// built from, and the licences of what is linked into it.
//
// It is pure and runs no goroutine.
package build
