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
// Everything runs on the loopback with the servers' default timings. Compare servers
// only in runs made together.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/peer"
)

type options struct {
	kind    peer.Kind
	kills   int
	writers int
	keys    int
	rate    int
	value   int
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "recovery:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	measures := map[string]func(*fleet.Fleet, options) error{"failover": failover, "join": join}
	if len(args) == 0 || measures[args[0]] == nil {
		return fmt.Errorf("usage: recovery failover|join [flags]")
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	server := flags.String("server", string(peer.Copse), "copse, etcd35 or etcd34")
	flags.IntVar(&o.kills, "kills", 20, "how often to kill the leader")
	flags.IntVar(&o.writers, "writers", 16, "clients that write")
	flags.IntVar(&o.keys, "keys", 100_000, "keys in the cluster that a member joins")
	flags.IntVar(&o.rate, "rate", 1000, "writes a second while it joins")
	flags.IntVar(&o.value, "value", 100, "bytes of a value")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o.kind = peer.Kind(*server)
	f, err := fleet.Start(fleet.Options{Kind: o.kind, Members: 3, Seed: uint64(time.Now().UnixNano())})
	if err != nil {
		return err
	}
	err = measures[args[0]](f, o)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// spread is the p50, p99 and the longest of some times.
func spread(times []time.Duration) string {
	slices.Sort(times)
	at := func(percent int) time.Duration {
		return times[min(len(times)-1, len(times)*percent/100)].Round(time.Millisecond)
	}
	return fmt.Sprintf("p50 %v, p99 %v, longest %v", at(50), at(99), times[len(times)-1].Round(time.Millisecond))
}
