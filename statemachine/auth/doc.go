// Package auth holds the rules of v2's users and roles: what they are, who may do what,
// and what each change does to them.
//
// It owns [State], everything that the cluster knows about users and roles; [Change],
// one request on /v2/auth as it travels in the log, and its encoding; and [State.May],
// which decides about keys. It doesn't own HTTP, JSON or passwords: it never sees
// one, only the bcrypt hash that httpfront makes of it, and compares no hashes either. Of
// package tree it uses only the decoder. It starts no goroutine, and reads neither clock
// nor random numbers: the same changes make the same state on every member.
//
// # The rules on one page
//
//   - While the state is not Enabled, everybody may do everything.
//   - A client is the guest, who gave no credentials, or a user, or nobody: whoever
//     showed credentials that are wrong isn't the guest.
//   - A user has the rights of its roles, the guest those of the role guest. A role has
//     patterns of keys to read, and others to write. The role root is built in and has
//     all rights; the user root always has it.
//   - A pattern that ends in "*" covers all paths that begin with what is before it;
//     any other covers the equal path. What is recursive needs one of the first kind.
//   - A user may have a role that doesn't exist. It gives no rights until it does.
//
// The texts of errors, and what is an error at all, are those of etcd 3.4.
package auth
