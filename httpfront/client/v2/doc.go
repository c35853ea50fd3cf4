// Package v2 is a client of the v2 API, for copse's commands: requests with failover over the
// members of a cluster, and watches that go on where they were interrupted.
//
// A read is sent to the next server if one doesn't answer. A write of keys has an id, by which copse makes
// it once, and is sent again to a server that knows ids; any other write only if it can't have
// arrived: the connection was refused. Everything takes a context, and the package
// runs no goroutine.
package v2
