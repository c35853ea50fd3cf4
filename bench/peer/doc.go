// Package peer runs the servers that bench compares: copse, built from the
// directory above, and the two originals it is measured against, etcd 3.5
// (built from ../etcd35) and etcd 3.4 (Debian's package etcd-server).
//
// A Server is one process on free ports of 127.0.0.1. It owns one goroutine,
// the keeper, which starts the process, waits for its end, and is pinned to its
// thread meanwhile: the kernel kills the process when that thread dies, so that
// not even a killed test leaves a server behind.
package peer
