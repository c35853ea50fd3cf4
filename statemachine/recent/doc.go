// Package recent keeps the last rare occurrences, such as changes of leaders, for people who ask
// what has happened. A [List] is bounded, in memory only, and for any number
// of goroutines; the package has none.
package recent
