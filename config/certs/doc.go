// Package certs keeps the certificates, keys and trusted authorities of the ports: it loads
// them from PEM files, and reloads them when the files change and at SIGHUP. Without files
// it makes them: a certificate that signs itself (selfsigned.go), or, between members, all
// that follows from a secret (secret.go). verify.go refuses trusted certificates that are
// revoked or have another name.
//
//	files ──stat, read──▶ Certificates ──Listener, Server──▶ who is connected to
//	                            │────────────Client───────▶ who dials
//	                            ▼
//	                          Set ◀── SIGHUP, metrics
//
// Changes apply to new handshakes; open connections are left alone. If files can't be used,
// the previous certificates stay in use.
//
// It neither listens nor dials: main passes its configurations to the front end and to the
// peer link. [Set.ReloadOnHangup] runs one goroutine until it is stopped; there are no
// others.
package certs
