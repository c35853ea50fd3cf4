// Package compat compares copse with etcd over HTTP. It has only tests:
//
//   - TestScripts replays testdata/*.txt, requests with the answers that etcd
//     3.4.23 gave, against copse and against etcd 3.4 and 3.5 themselves, so
//     that a transcript can't become stale. script_test.go describes the format.
//   - TestRandom sends the same random requests, with watchers attached, to all
//     of them and compares every answer.
//   - TestEtcdctl and the TestClient tests use etcdctl and etcd's Go client.
//
// Record the transcripts again with
//
//	go test ./compat -run Scripts -update
//
// and read the diff before committing it. Intended differences are listed in
// differences_test.go, and in docs/differences.md for users.
// The flag -candidate=etcd35 tests the tests: etcd 3.5 takes copse's place.
package compat
