// Package etcdstore is etcd 3.5's own v2store, called as etcd's HTTP handlers and
// applier call it. Tests use it to know what etcd would have answered. It has no
// rules of its own. The clock and the index, which can't be set from outside, are set
// through reflection, so a new release of etcd that moves a field breaks the tests at
// once.
package etcdstore
