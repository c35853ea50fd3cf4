// Package history records what the clients of a cluster did and saw: every request
// with its times and its answer, every event with its time of arrival, and the
// trees at the end. It can be saved, so that a failed run can be judged again.
//
// All clients of a run share one Recorder, which is safe for concurrent use and starts
// no goroutine.
package history
