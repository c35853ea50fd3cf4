package check_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"copse/bench/etcdstore"
	"copse/bench/placement"
	"copse/bench/v2api"
)

// indexes are what an honest cluster gives to its changes, one after another: a
// range to a batch of one, which may leave the range's rest, or all of it, unused
// where there are several shards.
type indexes struct {
	rng     *rand.Rand
	shards  []*etcdstore.Store
	counter uint64
	last    uint64    // of the range that is open
	settled []uint64  // by shard
	closed  [3]uint64 // what each member knows to be closed, which lags
}

func newIndexes(shards int, start uint64, begin time.Time) indexes {
	o := indexes{rng: rand.New(rand.NewPCG(uint64(shards), 3)), counter: start}
	for range shards {
		store := etcdstore.New(1000, begin)
		store.SetIndex(start)
		o.shards, o.settled = append(o.shards, store), append(o.settled, start)
	}
	return o
}

// next hands a range to a shard: for a key in order in the root, one whose last
// index is the name of such a key.
func (o *indexes) next(slot int, named bool) {
	first := o.counter + 1
	o.last = first
	if len(o.shards) > 1 && !named {
		first += uint64(o.rng.IntN(3)) // what is below it was lost
		o.last = first + uint64(o.rng.IntN(2))
	}
	if named {
		for placement.Slot(fmt.Sprintf("/%020d", first), len(o.shards)) != slot {
			first++
		}
		o.last = first
	}
	o.shards[slot].SetIndex(first - 1)
}

// took ends a range. With one shard a refusal takes no index.
func (o *indexes) took(slot int, changed bool) {
	if changed || len(o.shards) > 1 {
		o.counter = o.last
	}
	o.settled[slot] = o.counter
	if len(o.shards) == 1 {
		o.settled[slot] = o.shards[0].Index()
	}
}

// read is a member's linearizable answer.
func (o *indexes) read(r *v2api.Request, member int) (*v2api.Event, *v2api.Fault, uint64) {
	slot := placement.Slot(r.Key, len(o.shards))
	ev, fault := o.shards[slot].Do(r, nil)
	if len(o.shards) == 1 {
		return ev, fault, o.counter
	}
	closed := &o.closed[member]
	*closed = max(*closed, o.counter-uint64(o.rng.IntN(6)))
	index := max(*closed, o.settled[slot])
	if placement.Root(r.Key) {
		*closed = o.counter
		index = o.counter
		ev.Node.Nodes = nil
		for _, store := range o.shards {
			part, _ := store.Do(r, nil)
			ev.Node.Nodes = append(ev.Node.Nodes, part.Node.Nodes...)
		}
		slices.SortFunc(ev.Node.Nodes, func(a, b v2api.Node) int { return cmp.Compare(a.Key, b.Key) })
	}
	if fault != nil {
		fault.Index = index
	}
	return ev, fault, index
}
