// Package importer takes over what an etcd left: "copse import".
//
// It reads data directories of etcd by package etcddir, reports what is there and what
// isn't, and writes the result as a file of package portable, from which a cluster can be
// restored. It decides from which index on copse goes on, and whether watchers may resume. It
// writes nothing to the source. It runs no goroutine.
package importer
