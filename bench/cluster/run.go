package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/cluster/history"
	"copse/bench/peer"
	"copse/bench/v2api"
	"copse/bench/writemix"
)

// Options of a run.
type Options struct {
	Kind       peer.Kind
	From       peer.Kind // what the members run until a fault of the schedule upgrades them; "" is Kind
	Members    int
	Namespaces bool
	Seed       uint64
	Schedule   Schedule
	Shards     int      // over which copse spreads the keys; 0 is one
	Args       []string // further flags of the servers
	// SettleLimit limits each step at the end; 0 is a minute.
	SettleLimit time.Duration
	Logf        func(format string, args ...any)
}

// traits are where the servers differ on purpose.
type traits struct {
	// rewinds says that a stream which starts in the past continues live after
	// it, and that one that can't is ended. etcd's delivers one old event and
	// nothing more, which it also does when the reader is too slow.
	rewinds bool
	// own says that there is what etcd doesn't have: minIndex, requestId, transactions, server-sent events.
	own   bool
	rules history.Rules
}

// windowLength is the number of events that v2 keeps.
const windowLength = 1000

func traitsOf(kind peer.Kind) traits {
	if kind.IsCopse() {
		return traits{rewinds: true, own: true, rules: history.Rules{Window: windowLength, Pauses: true}}
	}
	return traits{rules: history.Rules{ExactHeader: true, Window: windowLength}}
}

// smallDisk is enough for what the servers allocate in advance, some 200 MiB. copse's
// default disk reserve is more than the rest, so the tests set a smaller one.
const (
	smallDisk    = 512 << 20
	smallReserve = "--disk-reserve=64MiB"
)

// runner is one run at work.
type runner struct {
	opts     Options
	traits   traits
	fleet    *fleet.Fleet
	servers  []*fleet.Member // the members, and the spare one last
	rec      *history.Recorder
	conns    connIDs
	root     string // the load's directory
	start    uint64
	watchers []*watcher
}

// Run starts a cluster, runs the schedule against it under load, and returns
// the recorded history. If anything goes wrong, keep, unless nil, is called with the
// fleet before it is stopped.
func Run(opts Options, keep func(*fleet.Fleet)) (h *history.History, err error) {
	if opts.SettleLimit == 0 {
		opts.SettleLimit = time.Minute
	}
	if opts.From == "" {
		opts.From = opts.Kind
	}
	r := &runner{opts: opts, traits: traitsOf(opts.Kind), root: writemix.Root("/cluster", opts.Shards)}
	r.traits.rules.Shards = opts.Shards
	args := peer.Sharded(opts.Kind, opts.Shards)
	if opts.Shards > 1 && opts.From == opts.Kind && opts.Kind.IsCopse() { // an earlier one may not know it
		r.traits.rules.NameWindow = windowLength
		args = append(args, fmt.Sprintf("--event-history-per-prefix=%d", windowLength))
	}
	args = append(args, opts.Args...)
	if opts.Kind.IsCopse() {
		args = append([]string{smallReserve}, args...)
	}
	r.fleet, err = fleet.Start(fleet.Options{
		Kind: opts.From, Members: opts.Members, Spare: true, Namespaces: opts.Namespaces, Seed: opts.Seed, Args: args, SmallDisk: smallDisk,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && keep != nil {
			keep(r.fleet)
		}
		err = errors.Join(err, r.fleet.Close())
	}()
	r.servers = append(slices.Clone(r.fleet.Members), r.fleet.Spare)
	r.rec = history.NewRecorder(r.root, r.traits.rules)
	if err := r.begin(); err != nil {
		return nil, err
	}
	return r.live()
}

// begin finds the index above which the load starts.
func (r *runner) begin() error {
	c := r.newClient("begin", 0, time.Hour)
	defer c.close()
	op := c.do(v2api.Request{Method: http.MethodPut, Key: "/cluster-begins", Value: "x"})
	if op.Outcome == v2api.Acked && r.root == "" { // it would be in the load's way
		op = c.do(v2api.Request{Method: http.MethodDelete, Key: "/cluster-begins"})
	}
	if op.Outcome != v2api.Acked {
		return fmt.Errorf("the first write: %v", op)
	}
	r.start = op.Index
	return nil
}

// live is the whole life of the clients: load under faults, the end, the audit.
func (r *runner) live() (*history.History, error) {
	watching, stopWatching := context.WithCancel(context.Background())
	working, stopWorking := context.WithCancel(context.Background())
	var watchers, workers sync.WaitGroup
	defer watchers.Wait()
	defer stopWatching()
	defer workers.Wait()
	defer stopWorking()

	r.makeWatchers(working)
	for _, w := range r.watchers {
		watchers.Go(func() { w.follow(watching) })
	}
	r.startClients(working, &workers)
	nem := &nemesis{fleet: r.fleet, shards: max(1, r.opts.Shards), from: r.opts.From, to: r.opts.Kind, logf: r.opts.Logf, now: r.rec.Now, wait: time.Sleep, look: r.look}
	if err := r.trouble(nem); err != nil {
		return nil, err
	}
	stopWorking()
	r.rec.Wake()
	workers.Wait()

	end, err := r.settle()
	if err != nil {
		return nil, err
	}
	stopWatching()
	watchers.Wait()
	return r.audit(end, nem)
}

// look reads the whole tree at a member, through the log and locally.
func (r *runner) look(member int) {
	c := r.newClient("nemesis", 2, time.Hour)
	defer c.close()
	c.member = member
	for _, quorum := range []bool{true, false} {
		c.do(v2api.Request{Method: http.MethodGet, Key: r.root, Recursive: true, Sorted: true, Quorum: quorum})
	}
}

// trouble carries out the schedule, and then makes all well again.
func (r *runner) trouble(nem *nemesis) error {
	for _, f := range r.opts.Schedule {
		// What took longer than planned puts off what follows.
		nem.wait(max(f.At-r.rec.Now(), restShortest))
		if err := nem.strike(f); err != nil {
			return err
		}
	}
	if err := r.fleet.Heal(); err != nil {
		return err
	}
	if err := r.fleet.WaitReady(); err != nil {
		return fmt.Errorf("after all faults were healed: %w", err)
	}
	nem.wait(restLongest) // let the load continue without faults for a moment
	return nil
}

func (r *runner) makeWatchers(working context.Context) {
	all := history.Watch{Scope: r.root, Recursive: true}
	add := func(name string, w history.Watch, member int, roams, stream bool) {
		w.Name = name
		r.watchers = append(r.watchers, r.newWatcher(w, member, roams, stream))
	}
	witness := all
	witness.Witness = true
	n := len(r.fleet.Members)
	for i := range 3 {
		add(fmt.Sprintf("witness %d", i), witness, i%n, true, false)
	}
	for i := range n {
		add(fmt.Sprintf("long-poll on m%d", i), all, i, false, false)
		add(fmt.Sprintf("stream on m%d", i), all, i, false, true)
	}
	add("sleepy long-poll", all, 0, true, false)
	r.watchers[len(r.watchers)-1].naps = working
	add("sleepy long-poll of one writer", history.Watch{Scope: crowded(r.root), Recursive: true}, 1%n, true, false)
	r.watchers[len(r.watchers)-1].naps = working
	add("roaming stream", all, 0, true, true)
	if r.traits.own {
		for i := range n {
			add(fmt.Sprintf("roaming server-sent events, from m%d", i), all, i, true, true)
			r.watchers[len(r.watchers)-1].sse = true
		}
		add("roaming server-sent events of one writer", history.Watch{Scope: r.root + "/w1", Recursive: true}, 2%n, true, true)
		r.watchers[len(r.watchers)-1].sse = true
		add("roaming server-sent events of two writers", history.Watch{Scope: r.root, Recursive: true, Prefixes: twoWriters(r.root)}, 1%n, true, true)
		r.watchers[len(r.watchers)-1].sse = true
	}
	add("roaming long-poll of one writer", history.Watch{Scope: r.root + "/w1", Recursive: true}, 1%n, true, false)
	add("long-poll of one writer on m0", history.Watch{Scope: r.root + "/w2", Recursive: true}, 0, false, false)
	add("roaming long-poll of one key", history.Watch{Scope: r.root + "/counter"}, 2%n, true, false)
	add("roaming long-poll below what is removed", history.Watch{Scope: r.root + "/w0/tree/branch/leaf"}, 0, true, false)
}

func (r *runner) startClients(ctx context.Context, group *sync.WaitGroup) {
	n := len(r.fleet.Members)
	client := func(name string, stream uint64, pace time.Duration, member int, roams bool) *client {
		c := r.newClient(name, stream, pace)
		c.member, c.roams = member%n, roams
		return c
	}
	for id := range writers { // every other one stays where it is, unless it repeats
		c := client(fmt.Sprintf("writer-%d", id), uint64(100+id), writerPace, id/2, id%2 == 0)
		c.repeats = r.traits.own && id%3 == 2
		group.Go(func() { c.write(ctx, id) })
	}
	for i := range n {
		c := client(fmt.Sprintf("local reader on m%d", i), uint64(200+i), readerPace, i, false)
		c.ordered = true
		group.Go(func() { c.read(ctx, false) })
	}
	for i := range quorumReaders {
		c := client(fmt.Sprintf("quorum reader %d", i), uint64(300+i), readerPace, i, true)
		group.Go(func() { c.read(ctx, true) })
	}
	for i := range transactors {
		if !r.traits.own {
			break
		}
		c := client(fmt.Sprintf("transactor-%d", i), uint64(600+i), txnPace, i, true)
		group.Go(func() { c.transact(ctx) })
	}
	for i := range registerUsers {
		c := client(fmt.Sprintf("register-%d", i), uint64(400+i), registerPace, i, true)
		group.Go(func() { c.useRegisters(ctx) })
	}
}

// pace waits while even the fastest witness is too far behind; false when the
// run is over.
func (r *runner) pace(ctx context.Context) bool {
	r.rec.Await(func(changed uint64) bool {
		fastest := uint64(0)
		for _, w := range r.watchers {
			if w.log.Witness {
				fastest = max(fastest, w.log.Last)
			}
		}
		return ctx.Err() != nil || fastest+lagLimit >= changed
	})
	return ctx.Err() == nil
}
