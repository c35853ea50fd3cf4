package main

import (
	"fmt"
	"strings"
)

// The sizes in the table of workloads.
const (
	valueSize = 64
	manyFiles = 100_000
	manyDir   = "/bench/many" // holds them
)

// workload is one row of the table: the requests, the number of connections,
// and the targets for copse.
type workload struct {
	name        string // in tables
	short       string // on the command line and in pictures
	connections int
	depth       int   // requests that each connection has in flight
	value       int   // bytes that each request writes; 0 if it is not all writes
	each        int64 // requests of each connection, warming up and measured; 0: by time
	source      func(address string) source
	before      func(t *target) error // each run
	aside       string                // the target of a GET that is repeated meanwhile
	limit       limit                 // the limit that is measured too
	targets     targets
}

// limit is a program that does only the indispensable part of the work.
type limit uint8

const (
	noLimit   limit = iota
	bareLimit       // fasthttp with a fixed answer
	raftLimit       // dragonboat with a state machine that does nothing
)

// targets are ratios of copse to etcd, and for ofBare to the bare handler; 0 is no
// target.
type targets struct {
	rateAtLeast, cpuAtMost, p50AtMost, p99AtMost, ofBareAtLeast float64
	writtenAtMost                                               float64 // bytes to disk for each byte of value
	// quietAtMost is the ratio of the p99 to that of the row before, which has no GETs
	// aside.
	quietAtMost float64
}

func workloads() []workload {
	get := func(query string) func(string) source {
		return func(address string) source { return gets(address, query) }
	}
	put := func(address string) source { return puts(address, valueSize) }
	one := func(target string) func(string) source {
		return func(address string) source {
			return &prepared{
				requests: [][]byte{getRequest(address, target)},
				pick:     func(int, int64) int { return 0 },
				codes:    []int{200},
			}
		}
	}
	large := func(size int) func(string) source {
		return func(address string) source { return largePuts(address, size) }
	}
	const swapConnections, largeConnections = 64, 16
	return []workload{
		{name: "GET one key, 1 connection", short: "get-1", connections: 1, depth: 1, source: get(""), limit: bareLimit,
			targets: targets{rateAtLeast: 1.6, cpuAtMost: 0.45}},
		{name: "GET one key, 64 connections", short: "get-64", connections: 64, depth: 1, source: get(""), limit: bareLimit,
			targets: targets{rateAtLeast: 2.3, cpuAtMost: 0.33, ofBareAtLeast: 0.92}},
		{name: "GET one key, 256 connections", short: "get-256", connections: 256, depth: 1, source: get(""), limit: bareLimit,
			targets: targets{rateAtLeast: 2.6, cpuAtMost: 0.32}},
		{name: "GET one key, 10,000 connections", short: "get-10k", connections: 10_000, depth: 1, source: get(""),
			targets: targets{rateAtLeast: 2.5, cpuAtMost: 0.32}},
		{name: "GET a key that isn't there, 64 connections", short: "missing-64", connections: 64, depth: 1, source: func(address string) source { return misses(address) },
			targets: targets{rateAtLeast: 2.3, cpuAtMost: 0.33}},
		{name: "GET one key, pipelined 16 deep, 64 connections", short: "pipelined", connections: 64, depth: 16, source: get(""), limit: bareLimit,
			targets: targets{rateAtLeast: 14, cpuAtMost: 0.045, ofBareAtLeast: 0.7}},
		{name: "quorum GET, 64 connections", short: "quorum-64", connections: 64, depth: 1, source: get("?quorum=true"),
			targets: targets{rateAtLeast: 4.5, cpuAtMost: 0.2}},
		{name: "PUT 64 bytes, 1 connection", short: "put-1", connections: 1, depth: 1, value: valueSize, source: put, limit: raftLimit,
			targets: targets{p50AtMost: 0.85, p99AtMost: 1}},
		{name: "PUT 64 bytes, 64 connections", short: "put-64", connections: 64, depth: 1, value: valueSize, source: put, limit: raftLimit,
			targets: targets{rateAtLeast: 2.4, cpuAtMost: 0.36}},
		{name: "PUT 64 bytes, 256 connections", short: "put-256", connections: 256, depth: 1, value: valueSize, source: put, limit: raftLimit,
			targets: targets{rateAtLeast: 3, cpuAtMost: 0.32, p99AtMost: 1}},
		{name: "9 GET to 1 PUT, 64 connections", short: "mixed-64", connections: 64, depth: 1,
			source:  func(address string) source { return mixed(address, valueSize) },
			targets: targets{rateAtLeast: 2.3, cpuAtMost: 0.36}},
		{name: "compare and swap, 64 connections", short: "swap-64", connections: swapConnections, depth: 1, value: valueSize,
			source:  func(address string) source { return swaps(address, valueSize, swapConnections) },
			before:  func(t *target) error { return startSwaps(t.address, swapConnections) },
			targets: targets{rateAtLeast: 2.2, cpuAtMost: 0.38}},
		{name: "listing of 1,000 keys, 16 connections", short: "list", connections: 16, depth: 1, source: one(benchDir),
			targets: targets{rateAtLeast: 4}},
		{name: "recursive GET of 100,000 keys, 1 connection", short: "recursive", connections: 1, depth: 1, source: one(manyDir + "?recursive=true"),
			targets: targets{rateAtLeast: 4}},
		{name: "poll of an unchanged tree of 10,000 keys, 4 connections", short: "poll", connections: 4, depth: 1,
			before: fillPolled, source: polls, targets: targets{cpuAtMost: 0.05}},
		{name: "the same by a client without tags that takes gzip", short: "poll-gzip", connections: 4, depth: 1,
			before: fillPolled, source: accepting(polledDir + "?recursive=true")},
		{name: "GET 64 KiB by a client that takes gzip, 16 connections", short: "value-gzip", connections: 16, depth: 1,
			before: fillText, source: accepting(textKey)},
		{name: "PUT, 1 connection, 100,000 keys beside it", short: "put-quiet", connections: 1, depth: 1, source: put},
		{name: "PUT, 1 connection, 4 recursive GETs of 100,000 each second", short: "put-beside", connections: 1, depth: 1, source: put,
			aside: manyDir + "?recursive=true", targets: targets{quietAtMost: 2}},
		{name: "PUT 4 KiB, 16 connections", short: "put-4k", connections: largeConnections, depth: 1, value: 4 << 10, source: large(4 << 10),
			targets: targets{rateAtLeast: 1.5}},
		{name: "PUT 64 KiB, 16 connections", short: "put-64k", connections: largeConnections, depth: 1, value: 64 << 10, source: large(64 << 10),
			targets: targets{rateAtLeast: 1.3}},
		{name: "PUT 64 KiB, 16 connections, 256 MiB after as many", short: "written-64k", connections: largeConnections, depth: 1, value: 64 << 10,
			source: large(64 << 10), each: (256 << 20) / (64 << 10) / largeConnections, targets: targets{writtenAtMost: 2.5}},
		{name: "PUT 1 MiB, 16 connections", short: "put-1m", connections: largeConnections, depth: 1, value: 1 << 20, source: large(1 << 20),
			targets: targets{rateAtLeast: 1.2}},
	}
}

func startSwaps(address string, connections int) error {
	c, err := connect(address, 1, 1, swapStarts(address, valueSize, connections))
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.runUntil(int64(connections))
	return err
}

// fillBench writes the keys that the workloads use.
func fillBench(address string, many bool) error {
	p := puts(address, valueSize)
	p.pick = func(_ int, n int64) int { return int(n) }
	c, err := connect(address, 1, 1, p)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.runUntil(perDirectory); err != nil {
		return fmt.Errorf("write the keys: %w", err)
	}
	if !many {
		return nil
	}
	if err := fill(address, manyDir, strings.Repeat("v", valueSize), 0, manyFiles, 125); err != nil {
		return fmt.Errorf("write the many keys: %w", err)
	}
	return nil
}
