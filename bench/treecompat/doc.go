// Package treecompat holds the rules of the tree and the watches against the code
// that they have to equal: etcd 3.5's v2store, in the same process, fed with
// the same random operations. Each operation's answer, the index, the
// statistics and what each watcher has received are compared as bytes.
//
// Everything is in the test; -ops sets how many operations it tries. Where
// copse deliberately differs, or where 3.5 is not what 3.4 was, the test says
// so in exceptions_test.go: one function each, and nothing is tolerated
// elsewhere.
package treecompat
