// Package crash kills a v2 server with SIGKILL under load, again and again, and
// checks its state after each restart.
//
// Writers send every kind of write over keep-alive connections and record the
// answers with their indexes, and the writes without an answer. Watchers resume at
// last+1 after each restart and record every event. After a restart the load pauses
// while the whole tree is read and a fence is written. Once every watcher has
// seen the fence, everything recorded so far is checked as one history:
//
//	writers  --acks, unknowns--> \
//	watchers --events----------->  History --> Check --> violations
//	reader   --snapshots-------> /
//
// Check is pure. The union of acknowledged writes and watched events, ordered
// by index, is replayed on a model tree; the answers, the watchers and the
// snapshots must all agree with it. checker_test.go shows that it can fail.
//
// Goroutines: Run owns one for each watcher during the whole run, and one for
// each writer between two kills; it stops and awaits them all.
package crash
