package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/bench/peer"
)

// shardOptions are those of the figures about several shards.
type shardOptions struct {
	requestOptions
	counts      []int // of shards; the others are compared with the first
	connections int
	names       int // top-level ones, over which the keys are spread
}

func (o *shardOptions) parse(flags *flag.FlagSet, counts string, args []string) error {
	list := flags.String("shards", counts, "numbers of shards; the others are compared with the first")
	flags.IntVar(&o.connections, "connections", 256, "connections that write")
	flags.IntVar(&o.names, "names", 8, "top-level names; a power of two spreads evenly")
	o.timing(flags, 5, 2*time.Second, 5*time.Second)
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	o.counts, err = numbers(*list)
	return err
}

func numbers(list string) (all []int, err error) {
	for _, text := range strings.Split(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func shardsName(n int) string { return fmt.Sprintf("N = %d", n) }

// shards compares writes over several top-level names to single members with different
// numbers of shards, alternating.
func shards(args []string) error {
	var o shardOptions
	if err := o.parse(flag.NewFlagSet("shards", flag.ContinueOnError), "1,4", args); err != nil {
		return err
	}
	b := &comparison{readings: map[string][]reading{}, workload: workload{
		name:        fmt.Sprintf("PUT %d bytes, %d connections, %d top-level names", valueSize, o.connections, o.names),
		connections: o.connections, depth: 1, source: putsBelow(evenNames(o.names), valueSize),
	}}
	for round := range o.rounds {
		if err := shardsRound(o, round, b); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	fmt.Printf("`go run ./figures shards %s` (%s; commit %s)\n\n%s", strings.Join(args, " "), machine(), commit(), shardsTable(o, b))
	return nil
}

// shardsRound starts fresh servers, which are stopped while it isn't their turn.
func shardsRound(o shardOptions, round int, b *comparison) (err error) {
	var field []*target
	defer func() { err = errors.Join(err, closeAll(field)) }()
	for _, n := range o.counts {
		t, err := launchWith(shardsName(n), peer.Copse, peer.Options{Args: peer.Sharded(peer.Copse, n)})
		if err != nil {
			return err
		}
		field = append(field, t)
		if err := t.pause(); err != nil {
			return err
		}
	}
	return b.inTurn(o.requestOptions, round, field)
}

func shardsTable(o shardOptions, b *comparison) string {
	var t strings.Builder
	base := shardsName(o.counts[0])
	fmt.Fprintf(&t, "%s:\n\n| shards | requests/s | p50 | p99 | server CPU/request | memory | requests/s : %s | CPU : %s |\n", b.workload.name, base, base)
	t.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, n := range slices.Compact(slices.Clone(o.counts)) {
		name := shardsName(n)
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %.1f us | %s | %v | %v |\n", name, grouped(b.medianOf(name, rateOf)),
			micros(b.medianOf(name, p50Of)), micros(b.medianOf(name, p99Of)), b.medianOf(name, cpuOf), mebibytes(b.medianOf(name, memoryOf)),
			b.pair(name, base, rateOf), b.pair(name, base, cpuOf))
	}
	return t.String()
}

// progress reports progress on standard error.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
