//go:build race

package statemachine_test

// raceDetector is whether the tests run under the race detector, which makes a process of
// its own for each of many faults ten times as slow.
const raceDetector = true
