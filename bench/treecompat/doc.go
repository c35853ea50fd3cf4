// Package treecompat compares copse's tree and watches with etcd 3.5's v2store in
// one process, under the same random operations. Each operation's answer, the
// index, the statistics and each watcher's events are compared as bytes.
//
// Everything is in the test; -ops sets how many operations it tries. Where
// copse deliberately differs, or 3.5 differs from 3.4, exceptions_test.go has one
// function each; nothing else is tolerated.
package treecompat
