// Package etcdstore is etcd 3.5's own v2store behind what etcd's HTTP handlers
// and its applier do with a request, for whoever has to know what etcd would
// have answered. It holds no rules of its own: what the store can't do from
// outside (set the clock, set the index) is done through reflection, so a new
// release of etcd that moves a field breaks the tests at once.
package etcdstore
