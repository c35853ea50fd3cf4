// Package etcdimport compares what copse import reads of a data directory with what etcd
// makes of it: the packages of etcd 3.5 that read its log and its snapshots, and the
// etcd that wrote the directory, when it starts again.
//
// The running etcd is then imported over HTTP as well, which must come to the same.
//
// The directories are written by etcd 3.4 under random requests, killed in the middle of them
// again and again. go test -args -seed N makes those of a failure again, as far as
// the moments of the kills allow; -rounds says how many.
package etcdimport
