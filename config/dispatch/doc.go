// Package dispatch carries out the commands that aren't the server's start: it joins the
// settings with the packages that do the work, as main does for copse serve. It owns the exit
// codes of errors. It runs no goroutine.
package dispatch
