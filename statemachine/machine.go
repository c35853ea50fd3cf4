package statemachine

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"copse/statemachine/metric"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// Options configure a Machine.
type Options struct {
	Dir     string // the shard's own directory
	Replica uint64 // this replica's id: it returns the replies to its own submissions only
	Window  int    // number of events that waitIndex can reach back to; above 0
	// WindowBytes bounds the same events by the total size of their JSON; above 0.
	WindowBytes int64
	Names       NameLimits
	Cache       *pebble.Cache // of blocks, shared by the shards; nil: a small one
	CacheSizes
	Files int // files that Pebble may keep open; 0: Pebble's default
	// Slots is the number of data shards, and Slot the position of this one among them, or
	// OrderSlot. With 0 or 1 slots the cluster isn't sharded, and indexes are dense.
	Slot, Slots int
	FS          vfs.FS // nil: the operating system's
	// Fatal is called with the reason why the store can't go on: its disk fails, or it
	// turns out to be damaged. It ends the process, and doesn't return. Nil: a panic.
	Fatal  func(error)
	Logger *slog.Logger
}

// CacheSizes are sizes in bytes of the caches of nodes and of listings.
type CacheSizes struct{ Nodes, Lists int }

// OrderSlot is the Slot of the order shard, which is none of the data shards.
const OrderSlot = -1

// Machine is one replica of one shard. It implements dragonboat's
// IOnDiskStateMachine.
type Machine struct {
	// Fixed after New.
	replica uint64
	window  window
	place   place
	publish func(*ApplyResult) // set by Subscribe
	pebble  func() *pebble.Options
	end     ending

	measures *Measures

	// Owned by dragonboat's apply worker.
	home *home
	meta meta
	// expiryLow is a lower bound of the stored expirations, in Unix nanoseconds.
	expiryLow int64
	broken    error // the fault that stopped this replica; nothing is applied after it
	view      view
	recent    recent // used by the data shards of a sharded cluster

	// The open store. It is replaced, under the lock, when a snapshot is installed.
	mu    sync.RWMutex
	store *handle // nil once closed

	pins pins

	caches  caches
	flusher memtableFlusher
	shared  publishedShared

	// Updated after each batch; any goroutine may read them.
	published published
	expiry    expirySignal
	applied   atomic.Uint64 // bytes of raft entries since New
	gets      *metric.Striped[gets]
}

var _ sm.IOnDiskStateMachine = (*Machine)(nil)

// New opens or creates the store in o.Dir. Its errors wrap ErrNewerFormat, ErrOlderFormat
// or ErrDamaged if one of those is the cause.
func New(o Options) (*Machine, error) {
	m, err := newMachine(o)
	if err == nil {
		err = m.open()
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// newMachine is New, but the store isn't open yet.
func newMachine(o Options) (*Machine, error) {
	if o.Window <= 0 || o.WindowBytes <= 0 {
		return nil, fmt.Errorf("event window of %d events and %d bytes: both must be above 0", o.Window, o.WindowBytes)
	}
	if err := o.Names.check(); err != nil {
		return nil, err
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	home, err := openHome(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	if placeOf(o).order { // it has neither events nor nodes
		o.Names, o.CacheSizes = NameLimits{}, CacheSizes{}
	}
	end := ending{dir: o.Dir, fatal: o.Fatal}
	m := &Machine{
		home: home, replica: o.Replica, window: window{o.Window, uint64(o.WindowBytes), o.Names}, place: placeOf(o),
		pebble:   func() *pebble.Options { return storeOptions(o, end) },
		end:      end,
		caches:   caches{nodes: newNodeCache(o.Nodes), lists: newListCache(o.Lists), marks: newMarks(o.Slots)},
		shared:   newPublishedShared(),
		measures: newMeasures(),
		expiry:   newExpirySignal(),
		gets:     metric.NewStriped[gets](nil),
		pins:     pins{prepared: make(map[*pinned]struct{})},
	}
	m.view = view{nodes: m.caches.nodes, changed: make(map[string][]byte)}
	return m, nil
}

// Subscribe sets the function that receives the result of each Update, once it is
// committed and in log order, and of each snapshot that replaces the tree. publish must
// not block. Call Subscribe before the replica is started.
func (m *Machine) Subscribe(publish func(*ApplyResult)) { m.publish = publish }

// open makes the store that CURRENT names the machine's, and loads its state.
func (m *Machine) open() error {
	at := m.home.now()
	h, err := m.openStore(at)
	if err != nil {
		return err
	}
	st, err := m.load(h.db)
	if err == nil && (st.meta.raftIndex < at.raft || st.meta.last < at.tree) {
		err = fmt.Errorf("%w: it ends at raft entry %d and index %d, but held entry %d and index %d before", ErrDamaged, st.meta.raftIndex, st.meta.last, at.raft, at.tree)
	}
	if err != nil {
		h.release()
		return oneLine(fmt.Errorf("open store %s: %w", filepath.Join(m.home.dir, at.name), err))
	}
	m.caches.blockAll(st.meta.last)
	m.mu.Lock()
	old := m.store
	m.store = h
	m.mu.Unlock()
	m.caches.unblockAll()
	if old != nil {
		m.pins.moments.dropAll()
		old.release()
	}
	m.meta, m.recent, m.view.events.names = st.meta, st.recent, st.names
	if old != nil {
		m.published.replaced.Add(1)
	}
	m.published.hashes.restart(m.meta.raftIndex, m.meta.hash)
	m.expiryLow = math.MinInt64
	m.published.clock.set(m.meta.clock, 0)
	m.announce(st.shared, st.handed, &ApplyResult{Jumped: true})
	m.expiry.added(math.MinInt64)
	return nil
}

// state is the part of the store that a machine keeps in memory.
type state struct {
	meta   meta
	shared shared
	handed []tree.Index
	recent recent
	names  *nameWindows
}

// load reads the machine's state from a store.
func (m *Machine) load(from *pebble.DB) (st state, err error) {
	if st.meta, err = loadMeta(from); err != nil {
		return st, err
	}
	if st.shared, err = loadShared(from); err != nil {
		return st, err
	}
	if st.names, err = loadNames(from, m.window.names); err != nil {
		return st, err
	}
	switch {
	case m.place.order:
		st.handed, err = loadHanded(from, m.place.slots)
	case m.place.data():
		st.recent, err = loadRecent(from, m.window.events)
	}
	return st, err
}

func loadMeta(from pebble.Reader) (meta, error) {
	rec, closer, err := from.Get(metaKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return meta{}, nil
	}
	if err != nil {
		return meta{}, err
	}
	m, err := readMeta(rec)
	return m, errors.Join(err, closer.Close())
}

// announce publishes the state after an update: first to readers, then to the subscriber
// as an ApplyResult.
func (m *Machine) announce(next shared, handed []tree.Index, res *ApplyResult) {
	m.shared.set(next) // before the index, which jumps when a mirror ends
	m.published.set(m.meta, max(m.windowFloor(m.meta.last), m.meta.trimmed), m.view.events.names)
	if m.place.order {
		m.published.handed.Store(&handed)
	}
	if m.publish != nil {
		res.Last, res.Epoch, res.Clock, res.Handed = m.meta.last, m.meta.epoch, m.meta.clock, slices.Clone(handed)
		m.publish(res)
	}
}

// Created reports whether New found no store and made a new one.
func (m *Machine) Created() bool { return m.home.created }

// Open implements IOnDiskStateMachine. New has opened the store already, so Open just
// returns the index of the last raft entry in it.
func (m *Machine) Open(<-chan struct{}) (uint64, error) {
	return m.meta.raftIndex, nil
}

// batchLimit is the size of a batch to which no further entry is added. The store takes 4 GiB.
const batchLimit = 64 << 20

// update applies raft entries, in as few batches as there may be.
func (m *Machine) update(entries []sm.Entry) ([]sm.Entry, error) {
	for done := 0; done < len(entries); {
		n, err := m.updateSome(entries[done:])
		if err != nil {
			return nil, err
		}
		done += n
	}
	return entries, nil
}

// updateSome applies the first of the entries, in one atomic batch, and returns how many.
func (m *Machine) updateSome(entries []sm.Entry) (n int, err error) {
	if m.broken != nil {
		return 0, m.broken
	}
	began := m.measures.begin()
	defer m.measures.end(m.measures.Apply, began)
	defer func() {
		if err != nil {
			m.broken = fmt.Errorf("apply to %s: %w", m.home.dir, err)
			if err = m.broken; m.end.fatal != nil {
				m.end.with(err)
			}
		}
	}()
	defer recoverFault(&err)
	batch := m.store.db.NewIndexedBatch()
	defer batch.Close()
	v := &m.view
	v.reset(writer{home: m.home, db: m.store.db, batch: batch}, m.meta, m.shared.load(), m.expiryLow)
	v.handed = m.Handed()
	res := &ApplyResult{}
	for n < len(entries) && batch.Len() <= batchLimit && res.held <= heldLimit {
		if err := m.add(v, &entries[n], res); err != nil {
			return 0, err
		}
		n++
	}
	m.measures.Entries.Observe(int64(n))
	v.saveMeta()
	m.caches.block(v)
	m.shared.auth.set(v.shared.auth) // before what was written after it can be read
	if v.shared.mirror.Fill != 0 {   // likewise, for it forbids reads
		m.shared.mirror.set(v.shared.mirror)
	}
	v.must(batch.Commit(pebble.NoSync))
	m.caches.unblock(v)
	if v.meta.clock != m.meta.clock || v.meta.timed != m.meta.timed {
		m.published.clock.set(v.meta.clock, v.meta.timed)
	}
	m.meta = v.meta
	if at, _, err := readExpiryKey(v.expiryFrom); err == nil {
		m.expiryLow = at
	}
	m.announce(v.shared, v.handed, res)
	m.expiry.added(v.soonest)
	return n, nil
}

// AppliedBytes returns the total size of the raft entries applied since New.
func (m *Machine) AppliedBytes() uint64 { return m.applied.Load() }

// Close makes everything applied durable and further reads fail, waits for the current
// readers to finish, and closes the store.
func (m *Machine) Close() error {
	m.mu.RLock()
	open := m.store != nil
	m.mu.RUnlock()
	if !open {
		return nil
	}
	err := m.Sync()
	m.mu.Lock()
	h := m.store
	m.store = nil
	m.caches.blockAll(m.meta.last) // never unblocked
	left := m.pins.prepared
	m.pins.prepared = nil
	m.mu.Unlock()
	for p := range left {
		_ = p.unpin()
	}
	m.pins.moments.close()
	h.release()
	<-h.closed
	if err = firstError(err, h.err); err == nil {
		err = m.note(h) // a compaction may have ended meanwhile
	}
	return err
}
