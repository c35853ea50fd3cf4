// Package raftlog is the file system below the engine's raft log. It gives a file
// of the log its length before anything is written to it, and knows what each sync
// took.
//
// An acknowledged write waits for one sync of that log. While a file grows, its new
// length has to reach the disk with the data, in another place, which makes the sync
// a third longer; so a file gets its length when it is made. (The engine's store, an
// old Pebble, reserves the blocks alone. It writes over its old files later, whose
// length and rest it knows how to take, and zeros behind the last record too.)
//
// The engine has no way in for a file system: it wants its own. That asks Pebble's
// default, which is a variable of Pebble's, and there this package puts itself,
// once for the process. What no [Log] has asked for goes on as before. Our own
// stores are another Pebble's, and don't come by here.
//
// The package doesn't know raft, nor what is in the files. It has no goroutine.
package raftlog
