// Package login finds out who a client is: a user, by the Authorization header of its
// request or by the certificate of its connection, or else the guest. What that client may
// do is not its business but that of [auth.State].
//
//	              same as last time on this connection
//	            ┌────────────────────────────────────────────┐
//	            │        same as when this user was last right ▼
//	header ─▶ Client ─▶ password ─▶ proofs ──────────────▶ user
//	                                  │                      ▲
//	                                  └─▶ turns ─▶ bcrypt ───┘
//
// It is the only package that sees passwords and that knows bcrypt. Nothing that it
// returns, logs or counts has a password, a hash or a header in it.
//
// # What is remembered
//
// bcrypt takes as much time as a thousand requests, so it runs once for a password, and not
// for each request. What is remembered is bound to the hash that the password was compared
// with, and counts only while that is the hash of the user in the state which this member
// has applied: so a change of the password, or the user's removal, is in force on every
// member as soon as it is applied there, without anybody being told. What a user may do is
// never remembered.
//
// # Goroutines
//
// None: each connection's goroutine computes its hash when its turn comes. One hash is
// computed at a time; after a wrong password nobody's turn comes for as long as the
// comparison took. So guessing takes half a core at most, however many try.
package login
