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

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// Options are what a Machine is made with.
type Options struct {
	Dir     string // the shard's own directory
	Replica uint64 // this replica's id: it builds replies for what it proposed
	Window  int    // events that waitIndex can reach back to; above 0
	// WindowBytes bounds the same events by the size of their JSON; above 0.
	WindowBytes int64
	Cache       *pebble.Cache // shared by the shards; nil: a small one
	Nodes       int           // bytes of the cache of nodes that are read often
	Lists       int           // bytes of the cache of listings that are
	Files       int           // files that Pebble may keep open; 0: its default
	// Slots is how many data shards there are, Slot which of them this one is; with
	// 0 or 1 its indexes are dense. Order: it is none of the several, but the order shard.
	Slot, Slots int
	Order       bool
	FS          vfs.FS // nil: the real one
	Logger      *slog.Logger
}

// Machine is one replica of one shard. It implements dragonboat's
// IOnDiskStateMachine.
type Machine struct {
	// Fixed after New.
	dir     string
	replica uint64
	window  window
	place   place
	publish func(*ApplyResult) // set by Subscribe
	pebble  func() *pebble.Options
	fs      vfs.FS

	measures *Measures

	// Owned by dragonboat's apply worker.
	meta meta
	// expiryLow is a time before which no expiration is stored.
	expiryLow int64
	broken    error // the fault after which nothing may be applied
	view      view
	recent    recent // of a data shard of several
	created   bool   // New found no store

	// The open store; replaced under the lock when a snapshot comes in.
	mu       sync.RWMutex
	store    *handle              // nil once closed
	prepared map[*pinned]struct{} // snapshots that wait to be streamed

	nodes   *nodeCache
	lists   *listCache
	tidy    tidier
	members membership
	waiters waiters

	// Published after each batch, read from anywhere.
	index     atomic.Uint64
	raftIndex atomic.Uint64
	floor     atomic.Uint64 // of the window
	stats     atomic.Pointer[tree.Stats]
	handed    atomic.Pointer[[]tree.Index] // immutable
	counts    publishedCounts
	expiry    expirySignal
	applied   atomic.Uint64 // bytes of raft entries since the start
	gets      struct{ success, fail atomic.Uint64 }
}

var _ sm.IOnDiskStateMachine = (*Machine)(nil)

// New opens or creates the store in o.Dir. Its errors wrap ErrNewerFormat and
// ErrDamaged where those are the cause.
func New(o Options) (*Machine, error) {
	if o.Window <= 0 || o.WindowBytes <= 0 {
		return nil, fmt.Errorf("event window of %d events and %d bytes: both must be above 0", o.Window, o.WindowBytes)
	}
	fs := o.FS
	if fs == nil {
		fs = vfs.Default
	}
	m := &Machine{
		dir: o.Dir, replica: o.Replica, window: window{o.Window, uint64(o.WindowBytes)}, fs: fs, place: placeOf(o),
		pebble:   func() *pebble.Options { return storeOptions(fs, o) },
		nodes:    newNodeCache(o.Nodes),
		lists:    newListCache(o.Lists),
		members:  membership{bell: make(chan struct{}, 1)},
		measures: newMeasures(),
		expiry:   newExpirySignal(),
		prepared: make(map[*pinned]struct{}),
	}
	m.view = view{nodes: m.nodes, changed: make(map[string][]byte)}
	name, created, err := currentStore(fs, o.Dir)
	if err != nil {
		return nil, err
	}
	m.created = created
	if err := m.open(name); err != nil {
		return nil, err
	}
	return m, nil
}

// Subscribe makes publish get the result of each Update after it is committed, in
// the order of the log, and of each snapshot that has replaced the tree. It mustn't
// wait. To be called before the replica is started.
func (m *Machine) Subscribe(publish func(*ApplyResult)) { m.publish = publish }

// ErrDamaged is the cause where the store can't be read: its files are broken.
var ErrDamaged = errDamaged

// open opens the named store as the machine's own and takes its state over.
func (m *Machine) open(name string) error {
	db, err := openPebble(filepath.Join(m.dir, name), m.pebble())
	if err != nil {
		if pebble.IsCorruptionError(err) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return fmt.Errorf("open store %s: %w", filepath.Join(m.dir, name), err)
	}
	h := newHandle(db)
	st, err := m.load(db)
	if err != nil {
		h.release()
		return fmt.Errorf("open store %s: %w", filepath.Join(m.dir, name), err)
	}
	m.barAll()
	m.mu.Lock()
	old := m.store
	m.store = h
	m.mu.Unlock()
	m.unbarAll()
	if old != nil {
		old.release()
	}
	m.meta, m.recent = st.meta, st.recent
	m.expiryLow = math.MinInt64
	m.announce(st.members, st.handed, &ApplyResult{Jumped: true})
	m.expiry.added(math.MinInt64)
	return nil
}

// state is what a machine keeps of its store in memory.
type state struct {
	meta    meta
	members *tree.Membership
	handed  []tree.Index
	recent  recent
}

// load reads the state of the machine from its store.
func (m *Machine) load(from *pebble.DB) (st state, err error) {
	if st.meta, err = loadMeta(from); err != nil {
		return st, err
	}
	if st.members, err = loadMembership(from); err != nil {
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

// announce makes the state after an update known: first to readers, then, as
// in an ApplyResult, to whoever has subscribed, then to who waits for it.
func (m *Machine) announce(members *tree.Membership, handed []tree.Index, res *ApplyResult) {
	stats := m.meta.stats
	m.stats.Store(&stats)
	m.counts.set(m.meta.counts)
	m.raftIndex.Store(m.meta.raftIndex)
	m.index.Store(uint64(m.meta.last))
	m.floor.Store(uint64(max(m.windowFloor(m.meta.last), m.meta.trimmed)))
	if m.place.order {
		m.handed.Store(&handed)
	}
	m.members.set(members)
	if m.publish != nil {
		res.Last, res.Epoch, res.Handed = m.meta.last, m.meta.epoch, slices.Clone(handed)
		m.publish(res)
	}
	m.waiters.applied(m.meta.raftIndex)
}

// Created reports whether New found no store and made a new one.
func (m *Machine) Created() bool { return m.created }

// Open implements IOnDiskStateMachine: the store is open already, so it only
// tells the last raft entry that it holds.
func (m *Machine) Open(<-chan struct{}) (uint64, error) {
	return m.meta.raftIndex, nil
}

// Update applies raft entries in one atomic batch. The batch isn't synced: the
// raft log holds the entries until Sync has been called behind them.
func (m *Machine) Update(entries []sm.Entry) (_ []sm.Entry, err error) {
	if m.broken != nil {
		return nil, m.broken
	}
	m.measures.Entries.Observe(int64(len(entries)))
	began := m.measures.begin()
	defer m.measures.end(m.measures.Apply, began)
	defer func() {
		if err != nil {
			m.broken = fmt.Errorf("apply to %s: %w", m.dir, err)
			err = m.broken
		}
	}()
	defer caught(&err)
	batch := m.store.db.NewIndexedBatch()
	defer batch.Close()
	v := &m.view
	v.reset(batch, m.meta, m.Membership(), m.expiryLow)
	v.handed = m.Handed()
	res := &ApplyResult{}
	for i := range entries {
		e := &entries[i]
		v.meta.raftIndex = e.Index
		v.stale = 0
		m.applied.Add(uint64(len(e.Cmd)))
		before := len(res.Events)
		if e.Result, err = m.applyEntry(v, e, res); err != nil {
			return nil, fmt.Errorf("raft entry %d: %w", e.Index, err)
		}
		v.endRecord()
		if m.place.data() {
			for i := range res.Events[before:] {
				m.recent.push(res.Events[before+i].Index)
			}
		}
		v.trim(m.windowFloor(v.meta.last), m.window)
	}
	v.must(batch.Set(metaKey, v.meta.append(v.rec[:0]), nil))
	m.bar(v)
	v.must(batch.Commit(pebble.NoSync))
	m.unbar(v)
	m.meta = v.meta
	if at, _, err := readExpiryKey(v.expiryFrom); err == nil {
		m.expiryLow = at
	}
	m.announce(v.members, v.handed, res)
	m.expiry.added(v.soonest)
	return entries, nil
}

// bar keeps readers from finding in a cache what v is about to change, until
// unbar.
func (m *Machine) bar(v *view) {
	if v.changedAll {
		m.barAll()
		return
	}
	m.nodes.bar(v.changed)
	m.lists.bar(v.changed)
}

func (m *Machine) unbar(v *view) {
	if v.changedAll {
		m.unbarAll()
		return
	}
	m.nodes.unbar(v.changed)
	m.lists.unbar(v.changed)
}

func (m *Machine) barAll() {
	m.nodes.barAll()
	m.lists.barAll()
}

func (m *Machine) unbarAll() {
	m.nodes.unbarAll()
	m.lists.unbarAll()
}

// AppliedBytes is the size of all raft entries applied since the start.
func (m *Machine) AppliedBytes() uint64 { return m.applied.Load() }

// Sync makes all that was applied durable. Raft drops log entries after it.
func (m *Machine) Sync() error {
	began := m.measures.begin()
	defer m.measures.end(m.measures.Sync, began)
	if err := m.store.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync %s: %w", m.dir, err)
	}
	return nil
}

// Close closes the store once the last reader has let go of it, and waits for
// that. Reads fail from now on.
func (m *Machine) Close() error {
	m.mu.Lock()
	h := m.store
	m.store = nil
	m.barAll() // for good
	m.waiters.close()
	left := m.prepared
	m.prepared = nil
	m.mu.Unlock()
	if h == nil {
		return nil
	}
	for p := range left {
		_ = p.unpin()
	}
	h.release()
	<-h.closed
	return h.err
}
