// Package metrictest reads scrapes in tests, and is as strict as a scrape that
// is to be read by everybody has to be. It must not be used outside tests.
//
// It owns no numbers and runs no goroutine.
package metrictest
