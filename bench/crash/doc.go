// Package crash kills a v2 server with SIGKILL in the middle of load, many
// times over, and checks what is left of it.
//
// Writers send every kind of write over keep-alive connections and note what
// was answered, with its index, and what was not. Watchers resume at last+1
// through the restarts and note every event. After each restart the load rests
// while the whole tree is read and a fence is written; once every watcher has
// seen the fence, everything noted so far is checked as one history:
//
//	writers  --acks, unknowns--> \
//	watchers --events----------->  History --> Check --> violations
//	reader   --snapshots-------> /
//
// Check is pure. The union of acknowledged writes and watched events, ordered
// by index, is replayed on a model tree; the answers, the watchers and the
// snapshots must all agree with it. checker_test.go shows that it can fail.
//
// Goroutines: Run owns one for each watcher for its whole length, and one for
// each writer between two kills; it stops and awaits them all.
package crash
