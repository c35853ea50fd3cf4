// Package verdict names the promises that a checker can find broken.
//
// It decides none of them: the checkers in crash and cluster/check do. It runs no goroutine.
package verdict
