// Package portable is the one file in which a tree leaves a cluster and comes into another:
// what backup and export write, and what restore and import read.
//
// The file is text, compressed by gzip: a line of JSON each for the header, the nodes, the
// roles, the users, the events of the window if there are any, and the end.
//
//	{"copse":1,"clusterId":"cdf818194e3a8c32","index":7,"term":2,"time":"2026-11-29T22:00:00Z","shards":1,"authEnabled":false,"nodes":3}
//	{"key":"/a","dir":true,"modifiedIndex":4,"createdIndex":4}
//	{"key":"/a/b","value":"text","expiration":"2026-11-30T10:00:00.000000001Z","modifiedIndex":6,"createdIndex":4}
//	{"key":"/c","value64":"/w==","modifiedIndex":7,"createdIndex":7}
//	{"role":"reader","read":["/a/*"],"write":[]}
//	{"user":"ann","hash":"$2a$10$…","roles":["reader"]}
//	{"action":"set","node":{…},"prevNode":{…},"now":1796000000000000000}
//	{"end":true,"nodes":3,"sha256":"…"}
//
// Nodes are in depth-first order, siblings by the bytes of their names, so that parents come
// before their children; hidden ones are among them, and the root isn't. A text that isn't
// valid UTF-8, or is long and would be full of escapes, is in base64, under its name with 64 behind it. The header's index is that of the whole
// tree, whatever the number of shards: no node is newer. With events, the header has
// "window", the index from which on none is missing. The checksum is over all lines before
// the last. Without its last line a file is no backup.
//
// It owns the format: [Writer] and [Reader], which check the same rules ([Header] says which numbers
// must agree). Each line has one form: the Reader accepts what the Writer would have written, and nothing
// else. Both go from line to line, so their memory is a few times the largest value, however
// many nodes there are. It doesn't own where the nodes come from and where they go. It
// starts no goroutine.
package portable
