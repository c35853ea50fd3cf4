package actors

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"

	"copse/actors/cluster"
	"copse/actors/loop"
	"copse/actors/raft"
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
	lane    *ReadLane
	expirer *Expirer

	// Of the only data shard:
	shard *Shard
	// Of one of several:
	told    *told
	ordered *Ordered
	courier *Courier
}

// do proposes c to one of several shards, or has its leader do so.
func (p *part) do(host *raft.Host, c *tree.Command, deadline time.Time) tree.Reply {
	if host.Leads(p.id) {
		return p.ordered.do(c, deadline)
	}
	return p.courier.do(c, deadline)
}

// door is where writes come in that this member proposes.
func (p *part) door() *door {
	if p.shard != nil {
		return p.shard.door
	}
	return p.ordered.door
}

// several is what a member runs, besides its parts, where there is more than one
// data shard.
type several struct {
	turn     atomic.Uint64 // of the shards that take creates in order in the root
	order    *Order
	lane     *ReadLane // of the order shard
	closed   *Closed
	spanning *Spanning
	balancer *Balancer
}

// machines are the replicas of all groups, the order shard's first.
func (n *Member) machines() []*statemachine.Machine {
	if n.several == nil {
		return []*statemachine.Machine{n.machine}
	}
	return append([]*statemachine.Machine{n.machine}, n.dataMachines()...)
}

func (n *Member) dataMachines() []*statemachine.Machine {
	var list []*statemachine.Machine
	for _, p := range n.parts {
		list = append(list, p.machine)
	}
	return list
}

// part returns the part of one of several data shards; nil if there is no such.
func (n *Member) part(shard uint64) *part {
	for _, p := range n.parts {
		if p.id == shard && p.ordered != nil {
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
	n.several = &several{}
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
	if s := n.several; s != nil {
		s.balancer = NewBalancer(n, o.Logger.With("component", "balancer"))
		s.order = NewOrder(n.host, len(n.parts), func(slot int) { n.parts[slot].told.lost() })
	}
	for _, p := range n.parts {
		p.lane = NewReadLane(n.host, p.id)
		if s := n.several; s == nil {
			p.shard = NewShard(p.id, n.self(), n.host, o.Host.RequestTimeout, o.Disk)
		} else {
			p.ordered = NewOrdered(p.id, p.slot, n.self(), n.host, s.order, p.told, o.Host.RequestTimeout, o.Disk)
			p.courier = NewCourier(p.id, n.host, n.link, p.machine, o.Host.RequestTimeout, o.Disk)
		}
		p.expirer = NewExpirer(n.host, p.id, p.machine, p.expire(n.host), o.Logger.With("component", "expirer"))
	}
	for i, m := range n.machines() {
		n.compactors = append(n.compactors, raft.NewCompactor(n.host, uint64(i)+orderShard, m, o.LogBytes, o.Logger.With("component", "compactor")))
	}
}

// expire is how the part's expirer proposes: with several shards, an expiry needs
// indexes like a write.
func (p *part) expire(host *raft.Host) func(stop <-chan struct{}, c *tree.Command) error {
	if p.ordered == nil {
		return func(stop <-chan struct{}, c *tree.Command) error {
			_, err := host.Execute(stop, p.id, c)
			return err
		}
	}
	return func(stop <-chan struct{}, c *tree.Command) error {
		due, err := p.machine.Due(c.Now, c.Limit)
		if err != nil || due == 0 {
			return err
		}
		c.Limit = due
		w, err := p.ordered.enter(c, time.Now().Add(p.ordered.timeout))
		if err != nil {
			return err
		}
		select {
		case r := <-w.reply:
			if r.Err != nil {
				return r.Err
			}
			return nil
		case <-stop:
			return raft.ErrStopped
		}
	}
}

// subscribe leads what the machines tell to who wants to know. An event reaches the
// watchers before its index is shown as settled, and that before the writer hears
// of it.
func (n *Member) subscribe() {
	for _, p := range n.parts {
		p.hub = watch.NewHub(watch.Options{
			First:   p.machine.Index(),
			Window:  n.o.Window,
			Floor:   n.floor(p.machine),
			History: p.machine.History,
			Exists:  p.machine.Exists,
		})
		if n.several == nil {
			p.machine.Subscribe(func(news *statemachine.News) { p.hub.Publish(news.Last, news.Notices) })
		}
	}
	s := n.several
	if s == nil {
		return
	}
	handed := n.machine.Handed()
	asker := tree.AskID{Replica: n.self(), Nonce: nonce()}
	var settled []tree.Index
	for _, p := range n.parts {
		settled = append(settled, p.machine.Index())
		p.told = newTold(p.slot, asker, handed[p.slot], p.machine.Index())
	}
	s.lane = NewReadLane(n.host, orderShard)
	s.closed = NewClosed(len(n.parts), func(last tree.Index, events []tree.Notice) { s.spanning.Publish(last, events) })
	s.closed.Begin(n.machine.Index(), handed, settled)
	s.spanning = NewSpanning(n.machine, n.dataMachines(), s.closed, n.o.Window, s.lane)
	n.machine.Subscribe(func(news *statemachine.News) {
		s.closed.Order(news)
		for _, p := range n.parts {
			p.told.order(news)
		}
	})
	for _, p := range n.parts {
		p.machine.Subscribe(func(news *statemachine.News) {
			p.hub.Publish(news.Last, happened(news))
			s.closed.Data(p.slot, news)
			p.told.data(news)
		})
	}
}

// happened is what a hub is told of the news of one of several data shards: its index
// also moves without events, and then there is nothing to look for on disk.
func happened(news *statemachine.News) []tree.Notice {
	if news.Notices == nil && !news.Jumped {
		return []tree.Notice{}
	}
	return news.Notices
}

// floor is where the window of a data shard begins: of one of several, its events are
// counted, not its indexes.
func (n *Member) floor(m *statemachine.Machine) func() tree.Index {
	if n.several == nil {
		return nil
	}
	return m.Floor
}

// nonce is a number that no actor has drawn before.
func nonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// addParts adds the actors of the data shards to g.
func (n *Member) addParts(g *loop.Group) {
	s := n.several
	if s != nil {
		g.Add("spanning watch hub", s.spanning.Run, s.spanning.Stop)
	}
	for _, p := range n.parts {
		g.Add("watch hub", p.hub.Run, p.hub.Stop)
	}
	for _, c := range n.compactors {
		g.Add("compactor", c.Run, c.Stop)
	}
	g.Add("membership", n.membership.Run, n.membership.Stop)
	if s != nil {
		g.Add("order", s.order.Run, s.order.Stop)
		g.Add("order's read lane", s.lane.Run, s.lane.Stop)
	}
	for _, p := range n.parts {
		g.Add("read lane", p.lane.Run, p.lane.Stop)
		if p.shard != nil {
			g.Add("shard", p.shard.Run, p.shard.Stop)
		} else {
			g.Add("shard", p.ordered.Run, p.ordered.Stop)
			g.Add("courier", p.courier.Run, p.courier.Stop)
		}
		g.Add("expirer", p.expirer.Run, p.expirer.Stop)
	}
	if s != nil {
		g.Add("balancer", s.balancer.Run, s.balancer.Stop)
	}
}

// view is what there is to tell of a part.
func (p *part) view() shardView {
	return shardView{label: strconv.FormatUint(p.id, 10), id: p.id, shard: p.door(), lane: p.lane, machine: p.machine, hub: p.hub}
}
