// Package metric holds what a number needs on its way from the code that
// counts it to Prometheus: a histogram that many goroutines may fill at once,
// and a writer of the text form.
//
// There is no registry. Whoever counts keeps its counters in its own struct,
// as plain atomics, and has a method that writes them to a [Writer] when a
// scrape asks; main puts those methods in a row. So a number has one owner,
// two servers in one process don't mix theirs, and nothing is paid for a
// number between two scrapes but the counting.
//
// The package is a leaf: it imports the standard library alone, and has no
// goroutine.
package metric
