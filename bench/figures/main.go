package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"copse/bench/peer"
)

// options of a run; each figure takes those that it has a use for.
type options struct {
	servers  []peer.Kind
	turns    int
	n        int           // watchers, or keys
	rounds   int           // PUTs to take the median of
	writers  int           // connections that write
	value    int           // bytes of a value
	duration time.Duration // of the overwriting
	limit    time.Duration // for one server in one turn
}

// figure is something to measure: on one server, in one turn.
type figure struct {
	n       int // the default of -n
	measure func(o options, s *peer.Server, r *results) error
}

var figures = map[string]figure{
	"watchers": {10_000, watchers},
	"watchput": {10_000, watchPut},
	"keys":     {1_000_000, manyKeys},
	"plateau":  {1_000, plateau},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	names := slices.Sorted(maps.Keys(figures))
	if len(args) == 0 || figures[args[0]].measure == nil {
		return fmt.Errorf("usage: figures %s [flags]", strings.Join(names, "|"))
	}
	name, figure := args[0], figures[args[0]]
	var o options
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	servers := flags.String("servers", "copse,etcd35", "what to measure, in this order; the last is what the others are compared with")
	flags.IntVar(&o.turns, "turns", 1, "how often to measure each server")
	flags.IntVar(&o.n, "n", figure.n, "watchers or keys")
	flags.IntVar(&o.rounds, "rounds", 20, "PUTs to take the median of")
	flags.IntVar(&o.writers, "writers", 128, "connections that write")
	flags.IntVar(&o.value, "value", 100, "bytes of a value")
	flags.DurationVar(&o.duration, "d", 3*time.Minute, "how long to overwrite")
	flags.DurationVar(&o.limit, "limit", 20*time.Minute, "longest that one server may take in one turn")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	for _, s := range strings.Split(*servers, ",") {
		o.servers = append(o.servers, peer.Kind(s))
	}
	r := newResults(o.servers)
	for turn := range o.turns {
		for _, kind := range o.servers {
			fmt.Fprintf(os.Stderr, "%s, turn %d: %s\n", name, turn+1, kind)
			if err := measure(o, kind, figure, r); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
		}
	}
	fmt.Printf("`go run ./figures %s` (%s)\n\n%s", strings.Join(args, " "), machine(), r.markdown())
	return nil
}

// measure starts a server, measures, and ends the server whatever happens.
func measure(o options, kind peer.Kind, figure figure, r *results) (err error) {
	s, err := peer.Launch(kind, peer.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	// A server that hangs is ended, which fails whatever waits for it.
	pid := s.PID()
	watchdog := time.AfterFunc(o.limit, func() { endProcess(pid) })
	defer watchdog.Stop()
	r.turn(kind)
	return figure.measure(o, s, r)
}
