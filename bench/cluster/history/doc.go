// Package history is what the clients of a cluster noted down: every request
// with its times and its answer, every event with the moment it came, and the
// trees at the end. It can be saved, so that a failed run can be judged again.
//
// A Recorder is shared by all clients of a run; it is locked, and starts no
// goroutine.
package history
