// Package source is a client of the v2 API of a live etcd, the source of a mirror or of an
// import: whole reads, events one by one, and requests that are passed on.
//
// Its users decide when to ask, and what to do with the answers. It runs no goroutines but
// those of net/http's connections, which Close ends.
//
// What the API shows, and what it doesn't (docs/MIGRATING.md):
//
//   - a recursive read is one moment of the tree, but without hidden nodes;
//   - a watch that is answered from the history shows hidden nodes, one that waits doesn't; so
//     Next never relies on an event that comes while it waits;
//   - a refresh is no event, yet takes an index, as changes of members and of auth do.
package source
