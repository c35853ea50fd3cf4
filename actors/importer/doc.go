// Package importer takes over what an etcd has: "copse import".
//
//	data directories ─ etcddir ─┐
//	a running etcd ── source ───┼─▶ found ─▶ report, and a file of package portable
//	a file ────────── dump ─────┘
//
// It reads one of three kinds of source, reports what is there and what isn't, and writes the
// result as a file, from which a cluster can be restored. It decides from which index on copse
// goes on, and whether watchers may resume. For a running etcd it also decides what to ask for,
// and whether all that was read is of one moment. It writes nothing to the source. It runs no goroutine.
package importer
