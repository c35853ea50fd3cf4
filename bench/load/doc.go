// Figures measures copse against etcd 3.5 --enable-v2 on this machine, turn by
// turn in one run, and prints Markdown tables for RESULTS.md:
//
//	go run ./figures watchers          # memory of 10,000 parked long-polls
//	go run ./figures watchput          # a PUT that wakes them all
//	go run ./figures keys -n 1000000   # memory and restart with many keys
//	go run ./figures plateau -d 3m     # disk under endless overwriting
//
// Each server is started fresh on an empty directory, one at a time, so that
// they don't compete; -turns repeats the whole and prints medians. The client
// shares the machine with the server: compare the columns, not the numbers with
// those of another machine.
//
// The load comes from raw sockets with prepared bytes, and the parked
// connections hang on one epoll loop: a stock HTTP client would need more of
// the processor than the servers do.
package main
