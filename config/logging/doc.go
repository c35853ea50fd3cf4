// Package logging makes the log of the process, has [Seldom] for what strangers cause, and
// [BindAdvice] for the error of a listener.
// The parts get the log from main and import only that.
//
// Every line has time, level and msg. Its other fields go by these names:
// component (main, http, tls, raft and the other parts of dragonboat, store, disk),
// shard, node (a replica's id), index, term, err; durations in seconds end in
// _s, sizes in bytes in _b. Values are never logged, keys at debug only.
//
// A log has one goroutine, which writes its lines (lines.go), until main ends it.
package logging
