// Package dump reads the files in which people have saved the keys of an etcd over HTTP.
//
//	list  [{"key":"/a/b","value":"v"},{"key":"/empty"}]         etcd-dump, etcd-backup
//	map   {"a":{"b":"v","empty":{}}}                            etcdtool, etcd-export
//	v2    {"action":"get","node":{"dir":true,"nodes":[…]}}      an answer of etcd to GET ?recursive=true
//
// An answer may have its headers in front of it, as curl -i prints them. The forms are told
// apart by how they begin.
//
// It owns the three forms, and what it adds where a form says nothing: the directories above a
// key, and new indexes. A file that isn't exactly in its form is refused, with the place. What
// becomes of the nodes is up to the caller. It starts no goroutine, and reads no clock.
package dump
