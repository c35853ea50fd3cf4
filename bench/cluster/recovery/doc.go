// Recovery measures how long a cluster needs when its leader dies and when a member
// joins:
//
//	go run ./cluster/recovery failover -kills 20 -server etcd35
//	go run ./cluster/recovery join -keys 100000 -rate 1000 -server etcd35
//
// failover kills the leader under load, -kills times, and measures how long it takes
// until writes are acknowledged again; after each kill it reads all keys and counts
// acknowledged writes that are lost. join removes a member from a full cluster under
// load, adds a new one, and measures the time until it has caught up; then it kills
// another member, so that writes need the new one's vote.
//
// It owns the load, one goroutine for each client, and starts and kills the members
// through package peer.
//
// Everything runs on the loopback with the servers' default timings. Compare servers
// only in runs made together.
package main
