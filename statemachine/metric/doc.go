// Package metric carries numbers from the code that counts them to Prometheus.
//
// It owns a histogram that many goroutines can fill at once, a writer of
// Prometheus' text format, and the metrics of the process itself. Package metrictest,
// below it, parses scrapes in tests.
//
// It doesn't own a registry. Code that counts keeps its counters in its own structs,
// as plain atomics, and has a method that writes them to a [Writer] when a scrape
// comes; the caller runs those methods one after the other. So each number has one
// owner, two servers in one process don't mix theirs, and between scrapes a number
// costs only the counting.
//
// The package imports only the standard library and starts no goroutine.
package metric
