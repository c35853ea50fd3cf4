package actors

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"

	"copse/actors/cluster"
	"copse/actors/loop"
	"copse/actors/order"
	"copse/actors/raft"
	"copse/actors/shard"
	"copse/actors/watch"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// orderShard is the raft group that holds the list of members. Where the tree is in
// one shard, it holds that too; else it hands out the indexes, and the data shards
// follow it, slot by slot.
const orderShard = cluster.MembersShard

// Groups is how many raft groups there are with so many data shards.
func Groups(shards int) int {
	if shards == 1 {
		return 1
	}
	return shards + 1
}

// part is what this member runs for one data shard.
type part struct {
	id      uint64
	slot    int
	machine *statemachine.Machine
	hub     *watch.Hub
	shown   loop.Level // the machine's index, if this is the only part
	lane    *shard.ReadLane
	feed    *shard.Feed
	actor   *shard.Actor
	expirer *shard.Expirer

	compactor *raft.Compactor

	counted uint64 // of the machine's raft index, in sharding.applied; its apply worker's
}

// unclosedBytesLimit bounds the events that wait until the closed index covers them.
const unclosedBytesLimit = 64 << 20

// sharding is what a member runs, besides its parts, if there are several data shards.
type sharding struct {
	turn     atomic.Uint64 // of the shards that take creates in order in the root
	applied  atomic.Uint64 // the raft indexes of all groups, added up
	order    *part         // has neither hub nor expirer
	closed   *order.ClosedIndex
	spanning *order.Spanning
	balancer *order.Balancer
}

// count adds what p's machine has applied since the last call to what all have.
func (s *sharding) count(p *part) {
	at := p.machine.RaftIndex()
	s.applied.Add(at - p.counted)
	p.counted = at
}

// all are the parts of all raft groups, the order shard's first.
func (n *Member) all() []*part {
	if n.sharded == nil {
		return n.parts
	}
	return append([]*part{n.sharded.order}, n.parts...)
}

// machines are the replicas of all groups, the order shard's first.
func (n *Member) machines() []*statemachine.Machine { return machinesOf(n.all()) }

func (n *Member) dataMachines() []*statemachine.Machine { return machinesOf(n.parts) }

func machinesOf(parts []*part) (list []*statemachine.Machine) {
	for _, p := range parts {
		list = append(list, p.machine)
	}
	return list
}

// part returns the part of a shard; nil if there is no such.
func (n *Member) part(shard uint64) *part {
	if n.sharded != nil && shard == orderShard {
		return n.sharded.order
	}
	for _, p := range n.parts {
		if p.id == shard {
			return p
		}
	}
	return nil
}

// openMachines opens the stores. What it has opened stays open if it fails.
func (n *Member) openMachines() (err error) {
	n.machine, err = statemachine.New(machineOptions(n.o, n.cache, orderShard))
	if err != nil {
		return err
	}
	shards := n.id.Shards
	if shards == 1 {
		n.parts = []*part{{id: orderShard, machine: n.machine}}
		return nil
	}
	n.sharded = &sharding{order: &part{id: orderShard, machine: n.machine}}
	for slot := range shards {
		id := uint64(slot) + orderShard + 1
		m, err := statemachine.New(machineOptions(n.o, n.cache, id))
		if err != nil {
			return err
		}
		n.parts = append(n.parts, &part{id: id, slot: slot, machine: m})
	}
	return nil
}

// openParts makes the actors of the data shards, before the replicas start.
func (n *Member) openParts() {
	o := n.o
	n.subscribe()
	for _, p := range n.parts {
		n.openActor(p, n.sharded != nil)
		p.expirer = shard.NewExpirer(p.actor, unexpiring{p.machine}, o.Logger.With("component", "expirer"))
	}
	if s := n.sharded; s != nil {
		n.openActor(s.order, false)
		var shards []uint64
		for _, p := range n.parts {
			shards = append(shards, p.id)
		}
		s.balancer = order.NewBalancer(n.self(), shards, balanced{n}, o.Logger.With("component", "balancer"))
	}
	for _, p := range n.all() {
		p.compactor = raft.NewCompactor(n.host, p.id, p.machine, o.LogBytes, o.Logger.With("component", "compactor"))
	}
}

// openActor makes the actor and the read lane of a part. sharded says whether its
// batches take their indexes from the order shard.
func (n *Member) openActor(p *part, sharded bool) {
	g := group{n.host, p.id}
	p.lane = shard.NewReadLane(g.Confirm)
	o := shard.ActorOptions{
		Core:  shard.Options{Self: n.self(), Nonce: p.feed.Nonce(), Slot: p.slot, Sharded: sharded, Patience: n.host.AnswerTimeout(), CountOutages: n.o.CountOutages},
		Shard: p.id, Timeout: n.o.Host.RequestTimeout, Admit: n.admit, InFlight: n.o.InFlight, Raft: g, Link: post{n.link}, Feed: p.feed,
		Ask: func(a tree.Ask) { n.ask(p, a) },
		// What a source tells of expirations is in the time of day.
		Timed: func() bool { return n.membership.Able().Timed && !n.machine.Mirror().On },
	}
	if n.sharded != nil {
		o.Applied = n.sharded.applied.Load
	}
	p.actor = shard.New(o)
}

// ask asks the order shard for indexes, for the part. The answer comes with what the
// order shard's replica applies.
func (n *Member) ask(p *part, a tree.Ask) {
	c := tree.AskCommand(len(n.parts), a)
	n.sharded.order.actor.Submit(&c, func(r tree.Reply) {
		if r.Err != nil {
			p.feed.AskLost()
		}
	})
}

// admit says whether the store may grow by so many bytes.
func (n *Member) admit(bytes int) error {
	if n.o.Disk != nil && !n.o.Disk.Admit(bytes) {
		return shard.ErrNoSpace
	}
	return nil
}

// subscribe passes on what the machines apply. An event reaches the watchers before its
// index is shown as settled, and both before the writer is answered.
func (n *Member) subscribe() {
	for _, p := range n.parts {
		p.hub = watch.NewHub(watch.Options{
			First:   p.machine.Index(),
			Window:  n.o.Window,
			Floor:   p.machine.Floor,
			History: p.machine.HistoryOf,
			Apart:   n.o.Names.Events > 0,
			Exists:  p.machine.Exists,
		})
	}
	requests := tree.RequestID{Replica: n.self(), Nonce: nonce()}
	s := n.sharded
	if s == nil {
		n.subscribeOnly(n.parts[0], requests)
		return
	}
	handed := n.machine.Handed()
	var settled []tree.Index
	for _, p := range n.parts {
		settled = append(settled, p.machine.Index())
		p.feed = shard.NewFeed(p.slot, requests, handed[p.slot], p.machine.Index())
	}
	s.order.feed = shard.NewFeed(0, requests, 0, n.machine.Index())
	s.closed = order.NewClosedIndex(len(n.parts), unclosedBytesLimit, func(last tree.Index, events []tree.EncodedEvent) { s.spanning.Publish(last, events) })
	s.closed.Begin(n.machine.Index(), handed, settled)
	s.spanning = order.NewSpanning(order.SpanningOptions{
		Order: n.machine, Machines: n.dataMachines(), Closed: s.closed, Window: n.o.Window,
		Confirm: func(limit, stale time.Duration) error { return s.order.lane.Wait(limit, stale) },
		Cut:     s.cut(false, n.o.Host.RequestTimeout),
	})
	for _, p := range n.all() {
		s.count(p)
	}
	n.machine.Subscribe(func(res *statemachine.ApplyResult) {
		s.count(s.order)
		s.closed.Order(res)
		for _, p := range n.parts {
			p.feed.Order(res)
		}
		s.order.feed.Data(res)
	})
	for _, p := range n.parts {
		p.machine.Subscribe(func(res *statemachine.ApplyResult) {
			s.count(p)
			p.hub.Publish(res.Last, happened(res))
			s.closed.Data(p.slot, res)
			p.feed.Data(res)
		})
	}
}

// subscribeOnly is subscribe for the only part.
func (n *Member) subscribeOnly(p *part, requests tree.RequestID) {
	p.feed = shard.NewFeed(0, requests, 0, p.machine.Index())
	p.shown.Raise(uint64(p.machine.Index()))
	p.machine.Subscribe(func(res *statemachine.ApplyResult) {
		events := res.Events
		if res.Hole {
			events = nil
		}
		p.hub.Publish(res.Last, events)
		p.shown.Raise(uint64(res.Last))
		p.feed.Data(res)
		n.applied()
	})
}

// happened returns the events for the hub of one of several data shards. Its index also
// moves without events; then the hub gets an empty slice, since nil would make it look
// for them on disk.
func happened(res *statemachine.ApplyResult) []tree.EncodedEvent {
	if res.Events == nil && !res.Jumped {
		return []tree.EncodedEvent{}
	}
	return res.Events
}

// nonce draws a number that no actor has drawn before.
func nonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// addParts adds the actors of the data shards to g.
func (n *Member) addParts(g *loop.Group) {
	s := n.sharded
	if s != nil {
		g.Add("spanning watch hub", s.spanning.Run, s.spanning.Stop)
	}
	for _, p := range n.parts {
		g.Add("watch hub", p.hub.Run, p.hub.Stop)
	}
	for _, p := range n.all() {
		g.Add("compactor", p.compactor.Run, p.compactor.Stop)
	}
	g.Add("comparer", n.comparer.Run, n.comparer.Stop)
	g.Add("membership", n.membership.Run, n.membership.Stop)
	if s != nil {
		g.Add("order shard's read lane", s.order.lane.Run, s.order.lane.Stop)
		g.Add("order shard", s.order.actor.Run, s.order.actor.Stop)
	}
	if m := n.router.mirror; m != nil {
		g.Add("mirror", m.follower.Run, m.follower.Stop)
	}
	for _, p := range n.parts {
		g.Add("read lane", p.lane.Run, p.lane.Stop)
		g.Add("shard", p.actor.Run, p.actor.Stop)
		g.Add("expirer", p.expirer.Run, p.expirer.Stop)
	}
	if s != nil {
		g.Add("balancer", s.balancer.Run, s.balancer.Stop)
	}
}

// view is what metrics and checks need of a part.
func (p *part) view() shardView {
	return shardView{label: strconv.FormatUint(p.id, 10), id: p.id, actor: p.actor, lane: p.lane, machine: p.machine, hub: p.hub}
}
