// Package datadir owns a member's data directory: its lock, its identity, and where
// the other parts keep their files in it.
//
// The [Identity], in copse.json, says which cluster and member the directory belongs
// to; [Open] refuses a directory that is in use, damaged, from a newer copse, or not
// copse's, with one line that says what to do. The package also makes dragonboat
// accept a directory after the host was renamed ([Dir.LiftHostPin]). What is in
// the raft log and in the stores is not its business.
//
//	Open ─▶ lock ─▶ read copse.json ─▶ Dir ─┬─ Amend ──────▶ copse.json, atomically
//	                                        ├─ LiftHostPin ▶ raft/<host name>
//	                                        └─ RaftDir, ShardDir: for others to use
//
// It runs no goroutines, and a Dir is used by one goroutine at a time.
package datadir
