package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/bench/peer"
	"copse/bench/stores"
)

// options of a run; each figure uses some of them.
type options struct {
	servers  lineup
	turns    int
	n        int           // watchers, keys or users
	rounds   int           // PUTs to take the median of
	writers  int           // connections that write
	value    int           // bytes of a value
	duration time.Duration // of the overwriting
	limit    time.Duration // for one server in one turn
}

// commands with flags of their own.
var commands = map[string]func(args []string) error{
	"requests": requests,
	"shards":   shards,
	"scaling":  scaling,
	"growth":   growth,
	"idle":     idleFigure,
	"members":  members,
	"peers":    peers,
	"against":  against,
	"profile":  profile,
	"bare":     func([]string) error { return serveBare() },
	"raft":     raftChild,
}

// figure measures something on one server, in one turn.
type figure struct {
	n       int // the default of -n
	measure func(o options, s *peer.Server, r *results) error
}

var figures = map[string]figure{
	"watchers": {10_000, watchers},
	"watchput": {10_000, watchPut},
	"sse":      {10_000, eventStreams},
	"keys":     {1_000_000, manyKeys},
	"plateau":  {1_000, plateau},
	"soak":     {10_000, soak},
	"auth":     {10_000, authFigure},
	"txn":      {10_000, transactions},
	"pages":    {1_000_000, pages},
}

func main() {
	served, err := stores.ServeNATS()
	if !served {
		err = run(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && commands[args[0]] != nil {
		return commands[args[0]](args[1:])
	}
	names := slices.Sorted(maps.Keys(figures))
	if len(args) == 0 || figures[args[0]].measure == nil {
		return fmt.Errorf("usage: figures profile|requests|peers|members|shards|scaling|growth|idle|%s [flags]", strings.Join(names, "|"))
	}
	name, figure := args[0], figures[args[0]]
	var o options
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	o.servers.flags(flags)
	flags.IntVar(&o.turns, "turns", 1, "how often to measure each server")
	flags.IntVar(&o.n, "n", figure.n, "watchers, keys or users")
	flags.IntVar(&o.rounds, "rounds", 20, "PUTs to take the median of")
	flags.IntVar(&o.writers, "writers", 128, "connections that write")
	flags.IntVar(&o.value, "value", 100, "bytes of a value")
	flags.DurationVar(&o.duration, "d", 3*time.Minute, "how long to overwrite or to soak; -limit has to be longer")
	flags.DurationVar(&o.limit, "limit", 20*time.Minute, "longest that one server may take in one turn")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	r := newResults(o.servers.all())
	for i := range o.turns {
		for _, c := range o.servers.all() {
			progress("%s, turn %d: %s", name, i+1, c.name)
			if err := measure(o, c, figure, r); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	fmt.Printf("`go run ./figures %s` (%s; commit %s)\n\n%s", strings.Join(args, " "), machine(), commit(), r.markdown())
	return nil
}

// measure starts a server, measures it, and stops it whatever happens.
func measure(o options, c contender, figure figure, r *results) (err error) {
	s, err := peer.Launch(c.kind, peer.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	// A server that hangs is killed, which ends everything that waits for it.
	pid := s.PID()
	watchdog := time.AfterFunc(o.limit, func() { endProcess(pid) })
	defer watchdog.Stop()
	r.turn(c.name)
	return figure.measure(o, s, r)
}

// requests runs the table of workloads.
func requests(args []string) error {
	var o requestOptions
	flags := flag.NewFlagSet("requests", flag.ContinueOnError)
	o.choice(flags, "short names of the workloads")
	o.timing(flags, 5, time.Second, 4*time.Second)
	flags.BoolVar(&o.limits, "limits", true, "run the bare handler and raw proposals too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	comparisons, err := runRequests(o)
	if err != nil {
		return err
	}
	fmt.Printf("`go run ./figures requests %s` (%s; commit %s; %s)\n\n%s\n%s", strings.Join(args, " "), machine(), commit(), noise(o.servers, comparisons), overview(o.servers, comparisons), requestTable(o.servers, comparisons))
	return drawAll(o.picture, o.servers, comparisons)
}

func raftChild(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: figures raft PROPOSERS WARM DURATION")
	}
	proposers, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	warm, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	return proposeRaw(proposers, warm, d)
}

// against runs the table once on a server that is running already: for profiles, and
// for experiments.
func against(args []string) error {
	var o requestOptions
	flags := flag.NewFlagSet("against", flag.ContinueOnError)
	address := flags.String("address", "127.0.0.1:2379", "where the server listens")
	pid := flags.Int("pid", os.Getpid(), "its process, on this machine")
	o.pattern(flags, "short names of the workloads")
	filled := flags.Bool("filled", false, "the keys are there already")
	o.timing(flags, 1, time.Second, 4*time.Second)
	if err := flags.Parse(args); err != nil {
		return err
	}
	t := &target{name: "server", address: *address, pid: *pid, attended: true}
	if !*filled {
		if err := fillBench(t.address, slices.ContainsFunc(workloads(), func(w workload) bool { return o.only.MatchString(w.short) && w.needsMany() })); err != nil {
			return err
		}
	}
	for range o.rounds {
		for _, w := range workloads() {
			if !o.only.MatchString(w.short) {
				continue
			}
			r, err := runOne(o, w, t)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			(&comparison{workload: w, readings: make(map[string][]reading)}).note(t.name, r)
		}
	}
	return nil
}
