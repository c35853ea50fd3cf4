// Package v2api is etcd's v2 key API as the fault tests speak it: requests as
// values that can be noted down and replayed, nodes and events as they come
// back, and what a client knows about a write after its answer or the lack of
// one. It sends nothing by itself but through the http.Client it is given.
package v2api
