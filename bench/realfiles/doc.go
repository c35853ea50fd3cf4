// Realfiles exercises the main job of a configuration server with real input: it
// loads a tree made of this machine's files over HTTP, changes a part of
// it, reads it back and compares, while two watchers follow.
//
//	go run ./realfiles --endpoint http://127.0.0.1:2379 --from /usr/share,/etc --to /files --limit 20000
//
// With --to / the files are the whole tree, and the watchers watch the root. With
// several shards each has a part of the files.
//
// Each regular file up to --size-limit becomes a key: /etc/hosts is
// /files/etc/hosts. Names are percent-encoded, whatever bytes they contain. A name
// that begins with _ is hidden in v2: its key is read back directly,
// and must be absent from listings and from recursive watches above it.
//
// JSON holds only text: v2 prints each byte that isn't part of valid UTF-8 as
// \ufffd. A binary file is returned that way and compared that way, which is
// all that v2 promises. The summary counts them.
//
// Both watchers, a stream and a long-poll that resumes at last+1, must see each
// change exactly once, in order, with its value. Any difference is printed, and
// the exit status is then 1.
package main
