// Package disk watches the disk below the data directory.
//
// [Watch] knows how much space is free, refuses what would make the store grow when
// less is free than the reserve, and times a sync of one block now and then, which
// shows how the disk is doing even if nothing else is written. It doesn't know what is
// written: callers ask it with [Watch.Admit].
//
//	Admit ◀── free space, reserve ◀── loop ── Space ──▶ Device (statfs)
//	CheckAlive, metrics ◀───────────── loop ── Probe ──▶ Device (write, fdatasync)
//
// # Goroutines
//
// One for each Watch. It stands still while a sync does.
package disk
