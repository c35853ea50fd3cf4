// Figures measures copse against etcd 3.5 --enable-v2 on this machine, alternating
// in one run, and prints Markdown tables for RESULTS.md:
//
//	go run ./figures requests             # the table of requests: see workload.go
//	go run ./figures peers                # etcd's v3 API, NATS and Redis, each by its own client
//	go run ./figures watchers -n 15000    # memory of parked long-polls
//	go run ./figures sse                  # streams and server-sent events beside long-polls
//	go run ./figures txn                  # ten keys in one transaction, and by PUTs
//	go run ./figures pages -rounds 5      # pages of 1,000 of a directory of 1,000,000
//	go run ./figures watchput -n 15000    # a PUT that wakes them all
//	go run ./figures keys -n 1000000      # memory and restart with many keys
//	go run ./figures plateau -d 3m        # disk under endless overwriting
//	go run ./figures soak -d 1h -limit 2h # memory, files, goroutines and disk under a mixed load
//	go run ./figures auth                 # reads by many users; ten minutes of hashing
//	go run ./figures members              # writes to a cluster of three
//	go run ./figures shards               # writes with one shard and with four
//	go run ./figures scaling              # where the time goes with more shards
//	go run ./figures growth               # more keys, more connections, larger values
//	go run ./figures idle                 # CPU and memory of members that have nothing to do
//	go run ./figures against -address 127.0.0.1:2379 -pid 4711 -only 'put-64'
//	go run ./figures profile              # a CPU profile for the compiler, ../default.pgo
//
// against runs part of the table once on a server that runs already. Each command
// has -help.
//
// requests, members, growth and the figures of one server can compare several builds
// of copse in one run: -copse NAME=PATH, once for each, oldest first, puts them in the
// place of this tree's copse. The table then has the ratios of each to etcd and to the
// first. Writes before and after a change, in ten minutes:
//
//	go run ./figures requests -copse old=/path/old -copse new=/path/new -limits=false \
//	    -rounds 3 -only '^(put-(1|64|256|4k|64k|1m)|swap-64|written-64k)$'
//	go run ./figures members -copse old=/path/old -copse new=/path/new -rounds 3
//
// Each server is started fresh on an empty directory, with the same durability:
// both sync before they acknowledge. For requests and growth all servers run at the
// same time, and those whose turn it isn't are stopped (SIGSTOP), so that they
// don't compete; the other figures have one server at a time. requests also measures
// the limits that copse can't exceed: a bare fasthttp handler that always gives the same
// answer, and raw proposals to dragonboat.
//
// The client shares the machine with the server: compare the columns, not the
// numbers with those of another machine, and trust the server's CPU time per
// request more than the requests per second. The load comes from raw sockets with
// prepared bytes on one epoll loop: a stock HTTP client would need more CPU time
// than the servers do.
package main
