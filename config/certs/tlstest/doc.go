// Package tlstest signs certificates for tests. It must not be used outside
// them.
//
// It owns nothing but the authorities that it makes, and runs no goroutine.
package tlstest
