package main

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"copse/bench/peer"
)

// scaled is one line of the scaling figures: an arrangement of servers, and its
// measurements, one for each round.
type scaled struct {
	name     string
	kind     peer.Kind
	readings []reading
	inside   []counts // of all its servers, while they were measured
	answered []float64
	took     time.Duration
}

// scaling measures where the time goes with more processors and shards: on one
// member, and in a cluster whose busy leaders are on one member, or on all.
func scaling(args []string) error {
	var o shardOptions
	flags := flag.NewFlagSet("scaling", flag.ContinueOnError)
	procs := flags.String("procs", "1,2", "values of GOMAXPROCS for one member")
	clusterShards := flags.Int("cluster-shards", 9, "shards of the cluster of three; 0: no cluster")
	o.servers = newLineup(peer.Copse)
	o.servers.builds(flags)
	if err := o.parse(flags, "1,2,4,8", args); err != nil {
		return err
	}
	limits, err := numbers(*procs)
	if err != nil {
		return err
	}
	var lines []*scaled
	var measure []func() error // in each round
	for _, p := range limits {
		for _, n := range o.counts {
			for _, c := range o.servers.all() {
				s := &scaled{name: fmt.Sprintf("%sone member, GOMAXPROCS %d, %s", o.servers.prefix(c), p, shardsName(n)), kind: c.kind}
				lines = append(lines, s)
				measure = append(measure, func() error { return s.oneMember(o, p, n) })
			}
		}
	}
	for _, c := range o.servers.all() {
		if *clusterShards == 0 {
			break
		}
		name := fmt.Sprintf("%sthree members, %s, busy leaders ", o.servers.prefix(c), shardsName(*clusterShards))
		together, spread := &scaled{name: name + "together", kind: c.kind}, &scaled{name: name + "spread", kind: c.kind}
		lines = append(lines, together, spread)
		measure = append(measure, func() error { return threeMembers(o, *clusterShards, together, spread) })
	}
	for round := range o.rounds {
		progress("round %d", round+1)
		for _, once := range measure {
			if err := once(); err != nil {
				return err
			}
		}
	}
	fmt.Printf("`go run ./figures scaling %s` (%s; commit %s)\n\n%s", strings.Join(args, " "), machine(), commit(), scalingTable(lines))
	return nil
}

// oneMember starts a single member, measures it, and stops it.
func (s *scaled) oneMember(o shardOptions, procs, shards int) (err error) {
	member, err := peer.Launch(s.kind, peer.Options{Args: peer.Sharded(s.kind, shards), Env: []string{fmt.Sprint("GOMAXPROCS=", procs)}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, member.Close()) }()
	return s.measure(o, putsBelow(evenNames(o.names), valueSize), member)
}

// measure puts load on all servers at once, and records their metrics.
func (s *scaled) measure(o shardOptions, load func(string) source, servers ...*peer.Server) error {
	var addresses []string
	for _, server := range servers {
		addresses = append(addresses, server.Address)
	}
	var seen []counts
	w := workload{connections: o.connections, source: load}
	r, took, err := drive(o.requestOptions, w, servers, servers, func() error {
		c, err := scrape(addresses...)
		seen = append(seen, c)
		return err
	})
	if err != nil {
		return err
	}
	s.readings, s.inside = append(s.readings, r), append(s.inside, seen[1].since(seen[0]))
	s.answered, s.took = append(s.answered, r.rate*took.Seconds()), took
	progress("  %-56s %9.0f/s  p50 %8s p99 %8s  cpu %6.1f us  client %5.1f us  others %.2f cores", s.name, r.rate, micros(r.p50), micros(r.p99), r.cpu, r.client, r.others)
	return nil
}

// drive runs the workload on the servers in asked, with an equal share of the
// connections each, and adds up what all servers used, including those that get no
// requests. aside is called before and after the measurement.
func drive(o requestOptions, w workload, asked, all []*peer.Server, aside func() error) (r reading, took time.Duration, err error) {
	var clients []*client
	for i, server := range asked {
		share := (w.connections + i) / len(asked)
		c, err := connect(server.Address, share, 1, w.source(server.Address))
		if err != nil {
			return r, 0, err
		}
		defer c.close()
		clients = append(clients, c)
	}
	if _, err := driveAll(clients, o.warm); err != nil {
		return r, 0, err
	}
	for _, c := range clients {
		c.delay = newDelays()
	}
	if err := aside(); err != nil {
		return r, 0, err
	}
	used, err := lookAll(all)
	if err != nil {
		return r, 0, err
	}
	if took, err = driveAll(clients, o.duration); err != nil {
		return r, 0, err
	}
	usedThen, err := lookAll(all)
	if err != nil {
		return r, 0, err
	}
	if err := aside(); err != nil {
		return r, 0, err
	}
	delays, answered := newDelays(), int64(0)
	for _, c := range clients {
		delays.Merge(c.delay)
		answered += c.answered
		c.delay = nil
		if err := c.drain(); err != nil {
			return r, 0, err
		}
	}
	r = newReading(answered, took, usedThen.since(used), delays)
	for _, s := range all {
		m, err := resident(s.PID())
		if err != nil {
			return r, 0, err
		}
		r.memory += m
	}
	return r, took, nil
}

// driveAll runs the clients at the same time.
func driveAll(clients []*client, d time.Duration) (longest time.Duration, err error) {
	took, errs := make([]time.Duration, len(clients)), make([]error, len(clients))
	var running sync.WaitGroup
	for i, c := range clients {
		running.Go(func() { took[i], errs[i] = c.run(d) })
	}
	running.Wait()
	return slices.Max(took), errors.Join(errs...)
}

func lookAll(servers []*peer.Server) (all usage, err error) {
	for i, s := range servers {
		u, err := look(s.PID())
		if err != nil {
			return all, err
		}
		all.server += u.server
		all.written += u.written
		if i == 0 {
			all.client, all.others = u.client, u.others
		} else {
			all.others -= u.server
		}
	}
	return all, nil
}

// scalingTable shows where the time goes. Values per write are those of all servers
// together.
func scalingTable(lines []*scaled) string {
	var t strings.Builder
	t.WriteString("| | requests/s | p50 | p99 | server CPU/request | cores | writes/raft entry | entries | of the order shard | syncs of the log | commit | entries/apply | apply, by write |\n")
	t.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, s := range lines {
		b := &comparison{readings: map[string][]reading{s.name: s.readings}}
		inside := func(of func(c counts, answered float64) float64) float64 {
			var all []float64
			for i, c := range s.inside {
				all = append(all, of(c, s.answered[i]))
			}
			return median(all)
		}
		mean := func(name string) float64 { return inside(func(c counts, _ float64) float64 { return c.mean(name) }) }
		each := func(of func(c counts) float64) string {
			return grouped(inside(func(c counts, _ float64) float64 { return of(c) / s.took.Seconds() }))
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %.1f us | %.2f | %.1f | %s/s | %s/s | %s/s of %s | %s | %.1f | %s |\n", s.name,
			grouped(b.medianOf(s.name, rateOf)), micros(b.medianOf(s.name, p50Of)), micros(b.medianOf(s.name, p99Of)), b.medianOf(s.name, cpuOf),
			b.medianOf(s.name, func(r reading) float64 { return r.rate * r.cpu / 1e6 }),
			mean("copse_raft_batch_writes"),
			each(func(c counts) float64 { return c["copse_raft_batch_writes_count"] }),
			each(func(c counts) float64 { return c["copse_apply_batch_entries_sum"] - c["copse_raft_batch_writes_count"] }),
			each(func(c counts) float64 { return c["copse_raft_log_sync_duration_seconds_count"] }), micros(mean("copse_raft_log_sync_duration_seconds")),
			micros(mean("copse_raft_commit_duration_seconds")), mean("copse_apply_batch_entries"),
			micros(inside(func(c counts, answered float64) float64 {
				return c["copse_apply_duration_seconds_sum"] / max(answered, 1)
			})))
	}
	fmt.Fprintf(&t, "\nOf %d cores; commit is the time from the proposal of a batch until it was applied. Entries are those of the data shards.\n", runtime.NumCPU())
	return t.String()
}
