// Realfiles does the main job of a configuration server with real input: it
// makes a tree from files on this machine, loads it over HTTP, changes some of
// it, reads it back and compares, while two watchers look on.
//
//	go run ./realfiles --endpoint http://127.0.0.1:2379 --from /usr/share,/etc --to /files --limit 20000
//
// With --to / the files have the whole tree, and the watchers are on the root: of
// several shards each then has its part of them.
//
// Each regular file up to --size-limit becomes a key: /etc/hosts is
// /files/etc/hosts. Names go percent-encoded, whatever bytes they hold. A name
// that begins with _ is hidden, as v2 has it: its key is read back directly,
// and must be absent from listings and from recursive watches above it.
//
// JSON holds text only: v2 prints each byte that is not part of valid UTF-8 as
// \ufffd. A binary file comes back that way, and is compared that way: that is
// all that v2 promises. The summary says how many there were.
//
// Both watchers, a stream and a long-poll that resumes at last+1, must see each
// change exactly once, in order, with its value. Any difference is printed, and
// makes the exit status 1.
package main
