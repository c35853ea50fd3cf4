// Package certs keeps what a port proves itself with, and knows others by:
// certificate, key and authority, read from files in PEM, and read again when the
// files have changed or somebody says so.
//
//	files ──stat, read──▶ Certificates ──Listener, Server──▶ who is connected to
//	                            │────────────Client───────▶ who dials
//	                            ▼
//	                          Set ◀── SIGHUP, metrics
//
// A change holds for handshakes that begin after it; connections that stand are
// left alone. Files that can't be used leave in force what was read before.
//
// It knows nothing of who listens and who dials: main hands what it returns to
// the front-end and to the peer link. It has no goroutines.
package certs
