package check

import (
	"fmt"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/etcdstore"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// Stats tell how much there was to judge.
type Stats struct {
	Changes   int // with an event that the oracle confirmed
	Traced    int // those that were of unknown outcome at first
	Refreshes int // of those, known only from a node's index or by the order of expiries
	Expiries  int
	Unseen    int // indexes that belong to no known change
	Txns      int // that were carried out
	Repeats   int // answers to what had been answered
	Resumed   int // streams of server-sent events that went on at another member
	Answers   int // reads and refusals
}

func (s Stats) String() string {
	return fmt.Sprintf("%d changes, %d of them by writes of unknown outcome (%d refreshes), %d expiries; %d indexes of the servers' own; %d reads and refusals; %d transactions, %d repeated answers; %d streams resumed elsewhere",
		s.Changes, s.Traced, s.Refreshes, s.Expiries, s.Unseen, s.Answers, s.Txns, s.Repeats, s.Resumed)
}

// Check returns the promises that a history breaks.
func Check(h *history.History) ([]verdict.Violation, Stats) {
	c := &checker{
		parts: map[*history.Op]part{},
		floor: map[*history.Op]uint64{},
		acked: map[uint64]*history.Op{},
		seen:  map[uint64]*sighting{},
		hints: map[uint64]v2api.Node{},
		canon: map[uint64]*v2api.Event{},
		taken: map[*history.Op]uint64{},
	}
	for range max(1, h.Rules.Shards) {
		c.shards = append(c.shards, etcdstore.New(1000, h.Begin))
	}
	c.h = c.requests(h)
	c.times()
	c.acks()
	c.sightings()
	c.provenance()
	c.suspects = newSuspects(c)
	c.prepareWatches()
	c.replay()
	for _, w := range c.watches {
		c.watch(w)
	}
	c.lost()
	c.finals()
	if len(h.Clusters) > 1 {
		c.Complain(verdict.MemberDiffer, "the cluster has the ids %v", h.Clusters)
	}
	for _, death := range h.Deaths {
		c.Complain(verdict.MemberDied, "%s", death)
	}
	c.stats.Changes, c.stats.Traced, c.stats.Unseen = len(c.canon), len(c.taken), len(c.unseen)
	return c.Found, c.stats
}

// checker is one check at work.
type checker struct {
	verdict.Book
	h *history.History // each request once, each write of a transaction by itself

	clock  *timeline              // of all that was shown to anybody,
	clocks []*timeline            // and of each shard's own changes
	floor  map[*history.Op]uint64 // the highest index that anyone had seen before it began

	acked    map[uint64]*history.Op // acknowledged writes, by index
	seen     map[uint64]*sighting   // what watchers saw, by index
	hints    map[uint64]v2api.Node  // nodes shown with an index whose change nobody saw
	suspects *suspects
	taken    map[*history.Op]uint64 // the writes that changes were traced to
	parts    map[*history.Op]part   // of transactions
	rest     []*history.Op          // of the transaction that the replay is in

	shards  shards
	canon   map[uint64]*v2api.Event // every change according to the oracle
	unseen  []uint64                // indexes that belong to no known change, in order
	watches []*watchCheck
	stats   Stats
	wrong   int // changes that differ from the oracle's
}

// sighting is a change as the first watcher saw it.
type sighting struct {
	event *v2api.Event
	who   string
}

// acks orders the acknowledged writes. No two may have the same index, and each
// answer must be about the key that was requested.
func (c *checker) acks() {
	for _, op := range c.h.Ops {
		if !op.Changed() {
			continue
		}
		at := op.Event.Index()
		if other := c.acked[at]; other != nil {
			c.Complain(verdict.IndexReused, "%v and %v", other, op)
			continue
		}
		c.acked[at] = op
		if op.Index != at {
			c.Complain(verdict.ReplyDiffers, "%v has %d in its header", op, op.Index)
		}
		c.ttl(op)
	}
}

const clockSlack = v2api.ClockSlack

// takeover is by how much a time to live may grow when another leader takes over.
const takeover = 2 * time.Second

// ttl: the end is the member's time while it had the request, plus the ttl.
func (c *checker) ttl(op *history.Op) {
	end := op.Event.Node.Expiration
	if op.TTL == 0 || end == nil {
		return // the replay reports what is wrong with it
	}
	life := time.Duration(op.TTL) * time.Second
	earliest := c.h.Begin.Add(op.Invoke + life - clockSlack)
	latest := c.h.Begin.Add(op.Return + life + clockSlack)
	if end.Before(earliest) || end.After(latest) {
		c.Complain(verdict.TTLDiffers, "%v expires at %v, but should between %v and %v", op, end, earliest, latest)
	}
}

// sightings collects what watchers saw; the same index is the same change for
// all of them and for the writer.
func (c *checker) sightings() {
	for _, w := range c.h.Watches {
		for _, e := range w.Entries {
			if e.Event == nil {
				continue
			}
			at := e.Event.Index()
			if op := c.acked[at]; op != nil && (op.Event.Node.Key != e.Event.Node.Key || op.Event.Node.Value != e.Event.Node.Value || op.Event.Action != e.Event.Action) {
				c.Complain(verdict.IndexReused, "%v, and for %s it is %s of %s (%.60q)", op, w.Name, e.Event.Action, e.Event.Node.Key, e.Event.Node.Value)
				continue
			}
			if c.seen[at] == nil {
				c.seen[at] = &sighting{e.Event, w.Name}
			}
			prev := e.Event.Prev
			if e.Event.Action == "expire" && prev != nil && prev.Expiration != nil && c.h.Begin.Add(e.At+clockSlack).Before(*prev.Expiration) {
				c.Complain(verdict.EarlyExpiry, "%s saw %s expire at %v, which was due at %v", w.Name, e.Event.Node.Key, c.h.Begin.Add(e.At), prev.Expiration)
			}
		}
	}
}

// provenance: every value that was shown is one that was sent before, and every
// modifiedIndex that no change is known for is a hint at a refresh.
func (c *checker) provenance() {
	sent, longest, terms := map[string]time.Duration{}, 0, uint64(0)
	for _, op := range c.h.Ops {
		longest, terms = max(longest, op.TTL), max(terms, op.Term)
		if op.Value != "" {
			sent[op.Value] = op.Invoke
		}
	}
	var look func(n *v2api.Node, at time.Duration, what fmt.Stringer)
	look = func(n *v2api.Node, at time.Duration, what fmt.Stringer) {
		for i := range n.Nodes {
			look(&n.Nodes[i], at, what)
		}
		if begun, known := sent[n.Value]; n.Value != "" && (!known || begun > at) {
			c.Complain(verdict.FromNowhere, "%v shows %s with %.60q, which nobody had sent", what, n.Key, n.Value)
		}
		if end := n.Expiration; end != nil && end.After(c.h.Begin.Add(at+time.Duration(longest)*time.Second+time.Duration(terms)*takeover+clockSlack)) {
			c.Complain(verdict.TTLDiffers, "%v shows that %s expires at %v, and no ttl is that long", what, n.Key, end)
		}
		if n.Modified > c.h.Start && n.Key != "" && c.acked[n.Modified] == nil && c.seen[n.Modified] == nil {
			c.hint(*n)
		}
	}
	event := func(ev *v2api.Event, at time.Duration, what fmt.Stringer) {
		look(&ev.Node, at, what)
		if ev.Prev != nil {
			look(ev.Prev, at, what)
		}
	}
	for _, op := range c.h.Ops {
		if op.Event != nil {
			event(op.Event, op.Return, op)
		}
	}
	for _, w := range c.h.Watches {
		for _, e := range w.Entries {
			if e.Event != nil {
				event(e.Event, e.At, named(w.Name))
			}
		}
	}
}

// hint keeps what was shown of a node that was closest to what its write gave it.
func (c *checker) hint(n v2api.Node) {
	old, known := c.hints[n.Modified]
	if !known || n.Expiration != nil && old.Expiration != nil && n.Expiration.Before(*old.Expiration) {
		c.hints[n.Modified] = n
	}
}

type named string

func (n named) String() string { return string(n) }

// finals: the members agree at the end, with each other and with the oracle.
func (c *checker) finals() {
	for i, f := range c.h.Finals {
		first := c.h.Finals[0]
		if f.Index != first.Index && !c.shards.several() {
			c.Complain(verdict.MemberDiffer, "member %d is at %d and member %d at %d", first.Member, first.Index, f.Member, f.Index)
		}
		if diff := c.differNode(&first.Tree, &f.Tree); diff != "" {
			c.Complain(verdict.MemberDiffer, "members %d and %d: %s", first.Member, f.Member, diff)
		}
		if i > 0 || c.wrong > 0 {
			continue
		}
		for _, slot := range c.shards.slots(c.h.Root) {
			got := c.shards.part(f.Tree, slot)
			want, fault := c.shards[slot].Do(&v2api.Request{Method: "GET", Key: c.h.Root, Recursive: true, Sorted: true}, nil)
			if fault != nil {
				c.Complain(verdict.TreeDiffers, "the oracle has no %s: %v", c.h.Root, fault)
			} else if diff := c.differNode(&want.Node, &got); diff != "" {
				c.Complain(verdict.TreeDiffers, "member %d at the end: %s", f.Member, diff)
			}
		}
	}
}
