// Package v2api is etcd's v2 key API as the tests use it: requests as
// values that can be recorded and replayed, nodes and events as the server prints
// them, and what a client knows about a write after its answer, or without
// one. Requests are sent through an http.Client of the caller.
package v2api
