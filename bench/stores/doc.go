// Package stores runs key-value servers of several kinds, each behind a client of its own kind,
// so that the same work can be measured on all: copse and etcd's v2 API over HTTP, etcd's v3 API,
// JetStream's key-value buckets of NATS, and Redis. All sync to disk before they acknowledge.
//
// It owns the processes, which end with their Server, and the connections. It has no goroutine
// but those of the clients it uses, which end with Client.Close.
package stores
