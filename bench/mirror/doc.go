// Package mirror moves clients from a real etcd to copse while they work: a mirror of three
// members follows etcd 3.4 or 3.5, the clients switch one by one, something breaks, the mirror is
// promoted, and etcd stopped. Then every acknowledged write has to be there, no index may have
// been given out twice, every watcher must have seen each event once, and no client may ever have
// seen another cluster id or a lower term.
//
// Each move prints its seed; go test -args -seed N -moves 1 repeats one, as far as times allow.
package mirror
