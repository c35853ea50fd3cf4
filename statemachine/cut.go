package statemachine

import (
	"errors"
	"slices"
	"sync"

	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// pins are the states of a store that somebody reads or is going to.
type pins struct {
	prepared map[*pinned]struct{} // snapshots waiting to be streamed, under the machine's lock
	moments  moments

	// gate is held by each change of the store from its beginning to after its commit. Whoever
	// holds the gates of all shards sees a moment in which nothing is half applied.
	gate sync.Mutex
	cuts []*cut // that aren't pinned yet; under gate
}

// cut pins a data shard's store as it is at an index that a batch's range ends with: with all
// that the shard has up to it, and nothing above. It is pinned just before the first batch
// above the index is applied, or by take, when the caller knows that the store has come so
// far.
type cut struct {
	m   *Machine
	at  tree.Index
	pin *pinned
	err error
}

// errJumped is the error of a cut that a snapshot of the store has passed.
var errJumped = errors.New("this member has just been brought up to date by another one")

// cutAll makes a cut of each machine at one index, of which nothing above is applied to any:
// the highest that any has settled, and at least least().
func cutAll(machines []*Machine, least func() tree.Index) (cuts []*cut, at tree.Index) {
	for _, m := range machines {
		m.pins.gate.Lock()
		defer m.pins.gate.Unlock()
	}
	at = least()
	for _, m := range machines {
		at = max(at, m.meta.last)
	}
	for _, m := range machines {
		c := &cut{m: m, at: at}
		m.pins.cuts = append(m.pins.cuts, c)
		cuts = append(cuts, c)
	}
	return cuts, at
}

// CutOptions say how an index is found at which several data shards are pinned; a single one
// needs none.
type CutOptions struct {
	// Counter is the highest index that may be in any store.
	Counter func() tree.Index
	// Closed waits until all up to the index is applied here.
	Closed func(tree.Index) error
}

// pinAll pins the machines at one index: a single one as it is, several as o finds it.
func pinAll(machines []*Machine, o *CutOptions) (pins []*pinned, at tree.Index, err error) {
	defer func() {
		if err != nil {
			for _, p := range pins {
				_ = p.unpin()
			}
			pins = nil
		}
	}()
	if len(machines) == 1 {
		p, err := machines[0].pin()
		if err != nil {
			return nil, 0, err
		}
		meta, err := loadMeta(p.snap)
		return []*pinned{p}, meta.last, err
	}
	cuts, at := cutAll(machines, o.Counter)
	err = o.Closed(at)
	for _, c := range cuts {
		if err != nil {
			c.drop()
			continue
		}
		var p *pinned
		if p, err = c.take(); err == nil {
			pins = append(pins, p)
		}
	}
	return pins, at, err
}

// take pins the store now, unless it is pinned already.
func (c *cut) take() (*pinned, error) {
	c.m.pins.gate.Lock()
	defer c.m.pins.gate.Unlock()
	c.end()
	return c.pin, c.err
}

// end pins the store, if nothing has come of the cut so far. The gate is held.
func (c *cut) end() {
	if c.pin == nil && c.err == nil {
		c.pin, c.err = c.m.pin()
	}
	c.m.pins.cuts = slices.DeleteFunc(c.m.pins.cuts, func(other *cut) bool { return other == c })
}

// drop gives up the cut and what it has pinned.
func (c *cut) drop() {
	if pin, err := c.take(); err == nil {
		_ = pin.unpin()
	}
}

// pass ends the cuts that the entry goes beyond. A batch that is refused goes nowhere, and
// one with a lower range may still come after it.
func (m *Machine) pass(e *sm.Entry) {
	if len(e.Cmd) == 0 {
		return
	}
	batch, err := tree.ReadBatch(e.Cmd)
	if err != nil || !batch.Ordered || batch.Epoch < m.meta.epoch || batch.Range.First <= m.meta.last {
		return // Update says what is wrong with it
	}
	for _, c := range slices.Clone(m.pins.cuts) {
		if batch.Range.First > c.at {
			c.end()
		}
	}
}

// jump ends the cuts that a snapshot of the store has passed. The gate is held.
func (m *Machine) jump() {
	for _, c := range slices.Clone(m.pins.cuts) {
		if m.meta.last > c.at {
			c.err = errJumped
			c.end()
		}
	}
}

// Update applies raft entries, in one atomic batch unless somebody waits for the state
// between two of them. The batch is in memory until it is flushed: the raft log keeps the
// entries until a later Sync has made them durable here.
func (m *Machine) Update(entries []sm.Entry) ([]sm.Entry, error) {
	m.pins.gate.Lock()
	defer m.pins.gate.Unlock()
	if len(m.pins.cuts) == 0 {
		return m.update(entries)
	}
	for i := range entries {
		m.pass(&entries[i])
		if _, err := m.update(entries[i : i+1]); err != nil {
			return nil, err
		}
	}
	return entries, nil
}
