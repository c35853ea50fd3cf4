// Package client asks a running server, for those commands that need one: [Health] for
// copse health, [InitAuth] for copse auth init, [SaveBackup] for copse backup. It also reads
// the files of backups: [Verify], [Inspect], and [Diff], which compares servers too.
//
// A [Server] is where to ask and the files for TLS. What has no secret in it may go to a
// loopback address whose certificate is in another name; a password goes only to who proves to be
// the server, or to this machine. Passwords come from a file, the environment or the terminal, never
// from the arguments, and are in no message. It runs no goroutine.
package client
