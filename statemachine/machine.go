package statemachine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// Options are what a Machine is made with.
type Options struct {
	Dir     string        // the shard's own directory
	Replica uint64        // this replica's id: it builds replies for what it proposed
	Window  int           // events that waitIndex can reach back to
	Cache   *pebble.Cache // shared by the shards; nil: a small one
	Nodes   int           // bytes of the cache of nodes that are read often
	Lists   int           // bytes of the cache of listings that are
	Files   int           // files that Pebble may keep open; 0: its default
	FS      vfs.FS        // nil: the real one
	Logger  *slog.Logger
}

// Machine is one replica of one data shard. It implements dragonboat's
// IOnDiskStateMachine.
type Machine struct {
	// Fixed after New.
	dir     string
	replica uint64
	window  int
	publish func(last tree.Index, notices []tree.Notice) // set by Subscribe
	pebble  func() *pebble.Options
	fs      vfs.FS

	measures *Measures

	// Owned by dragonboat's apply worker.
	meta meta
	// expiryLow is a time before which no expiration is stored.
	expiryLow int64
	broken    error // the fault after which nothing may be applied
	view      view
	created   bool // New found no store

	// The open store; replaced under the lock when a snapshot comes in.
	mu       sync.RWMutex
	store    *handle              // nil once closed
	prepared map[*pinned]struct{} // snapshots that wait to be streamed

	nodes   *nodeCache
	lists   *listCache
	tidy    tidier
	members membership

	// Published after each batch, read from anywhere.
	index     atomic.Uint64
	raftIndex atomic.Uint64
	stats     atomic.Pointer[tree.Stats]
	expiry    expirySignal
	applied   atomic.Uint64 // bytes of raft entries since the start
	gets      struct{ success, fail atomic.Uint64 }
}

var _ sm.IOnDiskStateMachine = (*Machine)(nil)

// New opens or creates the store in o.Dir. Its errors wrap ErrNewerFormat and
// ErrDamaged where those are the cause.
func New(o Options) (*Machine, error) {
	fs := o.FS
	if fs == nil {
		fs = vfs.Default
	}
	m := &Machine{
		dir: o.Dir, replica: o.Replica, window: o.Window, fs: fs,
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

// Subscribe makes publish get the notices of each raft batch after it is
// applied, in index order, with the tree's index then; none where a snapshot
// has replaced the tree. It mustn't wait. To be called before the replica is
// started.
func (m *Machine) Subscribe(publish func(last tree.Index, notices []tree.Notice)) {
	m.publish = publish
}

// ErrDamaged is the cause where the store can't be read: its files are broken.
var ErrDamaged = errDamaged

// open opens the named store as the machine's own and takes its state over.
func (m *Machine) open(name string) error {
	db, err := pebble.Open(filepath.Join(m.dir, name), m.pebble())
	if err != nil {
		if pebble.IsCorruptionError(err) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return fmt.Errorf("open store %s: %w", filepath.Join(m.dir, name), err)
	}
	h := newHandle(db)
	meta, members, err := loadState(db)
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
	m.meta = meta
	m.expiryLow = math.MinInt64
	m.announce(members, nil)
	m.expiry.added(math.MinInt64)
	return nil
}

// loadState reads what a machine keeps in memory.
func loadState(from pebble.Reader) (meta, *tree.Membership, error) {
	m, err := loadMeta(from)
	if err != nil {
		return m, nil, err
	}
	members, err := loadMembership(from)
	return m, members, err
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

// announce makes the state after a batch known: first to readers, then to
// whoever listens to events.
func (m *Machine) announce(members *tree.Membership, notices []tree.Notice) {
	stats := m.meta.stats
	m.stats.Store(&stats)
	m.raftIndex.Store(m.meta.raftIndex)
	m.index.Store(uint64(m.meta.last))
	m.members.set(members)
	if m.publish != nil {
		m.publish(m.meta.last, notices)
	}
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
	var notices []tree.Notice
	for i := range entries {
		e := &entries[i]
		v.meta.raftIndex = e.Index
		v.stale = 0
		m.applied.Add(uint64(len(e.Cmd)))
		before := len(notices)
		if e.Result, notices, err = m.applyEntry(v, e, notices); err != nil {
			return nil, err
		}
		v.record(notices[before:])
		v.trim(m.window)
	}
	v.must(batch.Set(metaKey, v.meta.append(v.rec[:0]), nil))
	m.bar(v)
	v.must(batch.Commit(pebble.NoSync))
	m.unbar(v)
	m.meta = v.meta
	if at, _, err := readExpiryKey(v.expiryFrom); err == nil {
		m.expiryLow = at
	}
	m.announce(v.members, notices)
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

// outSlack is how many bytes of an entry's output may be kept for nothing.
const outSlack = 64 << 10

// eventSlack is about what an event's JSON takes besides two keys and values.
const eventSlack = 240

// outStart is the size up to which an entry's output gets its buffer at once.
const outStart = 256 << 10

// applyEntry applies one raft entry, which is a batch of commands, and adds
// what happened to notices.
func (m *Machine) applyEntry(v *view, e *sm.Entry, notices []tree.Notice) (sm.Result, []tree.Notice, error) {
	result := sm.Result{Value: e.Index}
	if len(e.Cmd) == 0 {
		return result, notices, nil
	}
	batch, err := tree.ReadBatch(e.Cmd)
	if err != nil {
		return result, notices, fmt.Errorf("raft entry %d: %w", e.Index, err)
	}
	mine := batch.Origin == m.replica
	before := len(notices)
	out := make([]byte, 0, min(2*len(e.Cmd)+eventSlack*batch.Len(), outStart))
	emit := func(ev *tree.Event) {
		v.meta.last = ev.Index()
		var json []byte
		out, json = appendEventReply(out, ev)
		notices = append(notices, ev.Notice(json))
		if ev.Action == tree.ActionExpire {
			v.meta.stats.ExpireCount++
		}
	}
	for {
		var c tree.Command
		ok, err := batch.Next(&c)
		if err != nil {
			return result, notices, fmt.Errorf("raft entry %d: %w", e.Index, err)
		}
		if !ok {
			break
		}
		var failed *tree.Error
		if c.Op.Membership() {
			if failed, err = v.changeMembers(&c); err != nil {
				return result, notices, fmt.Errorf("raft entry %d: %w", e.Index, err)
			}
			if failed == nil {
				out = appendDoneReply(out, v.meta.last)
			}
		} else {
			failed = tree.Apply(v, &c, v.meta.last, emit)
			v.meta.stats.CountWrite(c.Op, failed == nil)
		}
		if failed != nil {
			out = appendErrorReply(out, failed)
		}
	}
	if mine {
		result.Data = out
	}
	release(notices[before:], len(out))
	return result, notices, nil
}

// release keeps the window in memory, which holds on to notices, from holding
// on to all of a buffer of size bytes in which they are just a small part.
func release(notices []tree.Notice, size int) {
	for i := range notices {
		size -= len(notices[i].JSON)
	}
	if size < outSlack {
		return
	}
	for i := range notices {
		notices[i].JSON = bytes.Clone(notices[i].JSON)
	}
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
