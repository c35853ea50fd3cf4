package httpfront_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// treeBackend is a Backend on a tree in memory: one member, its own leader.
type treeBackend struct {
	now func() time.Time

	mu      sync.Mutex
	store   tree.MemStore
	last    tree.Index
	err     *tree.Error // what Do and Get answer instead, if set
	stats   tree.Stats
	cluster tree.Cluster
	peers   tree.PeerStats
	shards  tree.ShardsStatus
	parts   []string // what a GET of /parts yields piece by piece
	partErr error    // how that ends
	sized   bool     // its length is known beforehand
	closed  int      // listings that have been closed
	down    bool
	auth    atomic.Pointer[auth.State]

	authChanged chan struct{}

	hold chan struct{} // Do waits for it, if set
	held chan struct{} // and tells here that it does

	queued, applied time.Duration // what Do says that it took

	reading func() // Get calls it first, if set
	loaded  sync.Map
	slow    bool   // nothing is answered without a goroutine
	in64    bool   // what it answers to writes in base64 has value64 already
	asked   func() // Auth calls it last, if set
}

func newTreeBackend() *treeBackend {
	epoch := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	b := &treeBackend{
		authChanged: make(chan struct{}, 1),
		now:         func() time.Time { return epoch },
		last:        3,
		cluster: tree.Cluster{
			ID:   0x8b4b1c05fdb811e,
			Life: 0x51fe,
			Self: 0xddd67b312462fd7b,
			Members: []tree.Member{{
				ID:         0xddd67b312462fd7b,
				Name:       "infra1",
				PeerURLs:   []string{"http://127.0.0.1:12380"},
				ClientURLs: []string{"http://127.0.0.1:12379", "http://10.0.0.1:12379"},
			}},
			Started:     epoch.Add(-time.Hour),
			Leader:      0xddd67b312462fd7b,
			LastLeader:  0xddd67b312462fd7b,
			LeaderSince: epoch.Add(-time.Minute),
		},
	}
	b.auth.Store(&auth.State{})
	return b
}

func (b *treeBackend) state() tree.State {
	return tree.State{Index: b.last, RaftIndex: uint64(b.last) + 2, RaftTerm: 2}
}

// Histories are those of the names a to e, each with as many bytes as its limit; nothing is read of them for who sees none.
func (b *treeBackend) Histories(after string, limit int, sees func(key string) bool) ([]byte, *tree.Error) {
	if b.err != nil {
		return nil, b.err
	}
	if sees == nil {
		return []byte("{\"names\":\"unread\"}\n"), nil
	}
	names := []string{}
	for _, key := range []string{"/a", "/b", "/c", "/d", "/e"} {
		if key > after && len(names) < limit && sees(key) {
			names = append(names, key)
		}
	}
	return fmt.Appendf(nil, "{\"names\":%q}\n", names), nil
}

// MirrorStatus and Promote are those of a cluster that is no mirror.
func (b *treeBackend) MirrorStatus() ([]byte, *tree.Error) {
	return []byte("{\"mirror\":false}\n"), nil
}

func (b *treeBackend) Promote(force bool, hold time.Duration, margin uint64) ([]byte, string, *tree.Error) {
	if !force {
		return nil, "this cluster is no mirror", nil
	}
	return fmt.Appendf(nil, "{\"held\":%q,\"margin\":%d}\n", hold, margin), "", nil
}

// Backup yields the parts, as a GET of /parts does.
func (b *treeBackend) Backup(stale bool) (tree.Rest, tree.State, *tree.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && !stale {
		return nil, tree.State{}, b.err
	}
	if b.reading != nil {
		b.reading()
	}
	return &parts{backend: b, left: b.parts}, b.state(), nil
}

func (b *treeBackend) Do(c *tree.Command) tree.Reply {
	if b.hold != nil {
		b.held <- struct{}{}
		<-b.hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return tree.Reply{Err: b.err}
	}
	own := *c // c's bytes are the front-end's
	own.Key, own.PrevValue = strings.Clone(c.Key), strings.Clone(c.PrevValue)
	var reply tree.Reply
	if c.Op == tree.OpTxn {
		reply.JSON, reply.Binary, reply.Err = b.transact(&own)
		reply.State = b.state()
		return reply
	}
	reply.Err = tree.Apply(&b.store, &own, b.last, func(e *tree.Event) {
		b.last = e.Index()
		n := e.Encoded(tree.AppendEvent(nil, e))
		if ev := *e; e.IsLarge() && c.Once.ID == "" {
			ev.Node.Value, ev.Prev.Value = bytes.Clone(ev.Node.Value), bytes.Clone(ev.Prev.Value)
			n = ev.Late(nil)
		}
		reply.Late = n.Late
		if reply.JSON = n.JSON; n.Binary != nil {
			reply.Binary = *n.Binary
		}
		reply.Action = e.Action
		reply.Created = e.Created()
	})
	if b.in64 && c.Asked.Base64 {
		reply.JSON, reply.Binary = reply.Binary.AppendBase64(nil, reply.JSON), nil
	}
	reply.State = b.state()
	reply.Queued, reply.Applied = b.queued, b.applied
	return reply
}

// Submit has the reply come from a goroutine, as from a shard.
func (b *treeBackend) Submit(c *tree.Command, notify func(tree.Reply)) bool {
	if b.slow || c.Op == tree.OpTxn {
		return false
	}
	go func() { notify(b.Do(c)) }()
	return true
}

// GetCached knows everything but the long listing, unless a test wants to be told of reads.
func (b *treeBackend) GetCached(dst []byte, q *tree.Query) ([]byte, tree.State, *tree.Error, bool) {
	if b.slow || b.reading != nil || q.Key == "/parts" || q.Confirmed() || q.RestFrom > 0 || b.Loads(q) {
		return dst, tree.State{}, nil, false
	}
	out, _, st, err := b.Get(dst, *q)
	return out, st, err, true
}

// Loads has every key be on disk at first.
func (b *treeBackend) Loads(q *tree.Query) bool {
	_, known := b.loaded.Load(q.Key)
	return !known && !b.slow && b.reading == nil
}

func (b *treeBackend) Load(q *tree.Query) { b.loaded.Store(strings.Clone(q.Key), nil) }

// Confirm has the confirmation come from a goroutine, too.
func (b *treeBackend) Confirm(q *tree.Query, notify func(error)) bool {
	if b.slow || b.reading != nil || q.MinIndex != 0 {
		return false
	}
	go notify(nil)
	return true
}

// transact carries out a transaction.
func (b *treeBackend) transact(c *tree.Command) (json []byte, binary tree.Binary, failed *tree.Error) {
	t, err := txn.Read(c)
	if err != nil {
		return nil, nil, tree.Unavailable(err)
	}
	steps, _, failed := txn.Rehearse(&b.store, &t, b.last)
	for i := range steps {
		failed = tree.Apply(&b.store, &steps[i], b.last, func(e *tree.Event) {
			b.last = e.Index()
			n := e.Encoded(tree.AppendEvent(nil, e))
			json = append(append(json, ','), n.JSON...)
			if n.Binary != nil {
				binary = append(binary, *n.Binary...)
			}
		})
	}
	if failed != nil {
		return nil, nil, failed
	}
	return append(append([]byte(`{"results":[`), json[1:]...), "]}\n"...), binary, nil
}

func (b *treeBackend) Get(dst []byte, q tree.Query) ([]byte, tree.Rest, tree.State, *tree.Error) {
	if b.reading != nil {
		b.reading()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, nil, tree.State{}, b.err
	}
	if q.Key == "/parts" {
		q.Tag.Shows(b.last, true)
		return append(dst, b.parts[0]...), &parts{backend: b, left: b.parts[1:]}, b.state(), nil
	}
	n, err := tree.Find(&b.store, q.Key)
	if err != nil {
		err.Index = b.last
		return nil, nil, tree.State{}, err
	}
	now, changed := b.now().UnixNano(), n.Modified
	if n.Dir {
		changed = b.last
	}
	weak := n.Dir || n.Expires != 0 && q.Raw == nil
	if q.Raw != nil && n.Dir {
		return nil, nil, tree.State{}, &tree.Error{Code: tree.CodeNotFile, Cause: n.Key, Index: b.last}
	}
	if q.Raw != nil {
		*q.Raw = n.Modified
	}
	if q.Tag.IsCurrent(changed, changed, weak) {
		return dst, nil, b.state(), nil
	}
	q.Tag.Shows(changed, weak)
	if q.Raw != nil {
		return append(dst, n.Value...), nil, b.state(), nil
	}
	if !n.Dir {
		return q.AppendFile(dst, &n, now), nil, b.state(), nil
	}
	return b.store.List(dst, &n, &q, now), nil, b.state(), nil
}

// parts is a long listing.
type parts struct {
	backend *treeBackend
	left    []string
}

func (p *parts) Size() int {
	if !p.backend.sized {
		return -1
	}
	return len(strings.Join(p.left, ""))
}

func (p *parts) Next() ([]byte, bool, error) {
	if len(p.left) == 0 {
		return nil, false, p.backend.partErr
	}
	part := []byte(p.left[0])
	p.left = p.left[1:]
	return part, len(p.left) > 0 || p.backend.partErr != nil, nil
}

func (p *parts) Close() {
	p.backend.mu.Lock()
	defer p.backend.mu.Unlock()
	p.backend.closed++
}

func (b *treeBackend) closedListings() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

func (b *treeBackend) Watch(w *tree.Watch) (tree.State, *tree.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.Since == 1 {
		return b.state(), &tree.Error{
			Code:  tree.CodeEventIndexClosed,
			Cause: "the requested history has been cleared [2/1]",
			Index: b.last,
		}
	}
	return b.state(), nil
}

func (b *treeBackend) Unwatch(*tree.Watch) {}

func (b *treeBackend) Told(dst []tree.Index) []tree.Index { return append(dst, b.State().Index) }

func (b *treeBackend) State() tree.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state()
}

func (b *treeBackend) Stats() tree.Stats { return b.stats }

func (b *treeBackend) Cluster() *tree.Cluster {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.cluster
	return &c
}

func (b *treeBackend) Shards() tree.ShardsStatus { return b.shards }

func (b *treeBackend) PeerStats() tree.PeerStats { return b.peers }

func (b *treeBackend) AddMember(peerURLs []string) (tree.Member, *tree.Error) {
	m := tree.Member{ID: 0xadded, PeerURLs: peerURLs}
	return m, b.changeMembers(tree.OpMemberAdd, m)
}

func (b *treeBackend) UpdateMember(id uint64, peerURLs []string) *tree.Error {
	return b.changeMembers(tree.OpMemberUpdate, tree.Member{ID: id, PeerURLs: peerURLs})
}

func (b *treeBackend) RemoveMember(id uint64) *tree.Error {
	return b.changeMembers(tree.OpMemberRemove, tree.Member{ID: id})
}

func (b *treeBackend) changeMembers(op tree.Op, m tree.Member) *tree.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	c := tree.MemberCommand(op, m)
	next, refused, err := tree.ApplyMembership(&tree.Membership{Members: b.cluster.Members, Removed: b.cluster.Removed}, &c, b.last)
	if err != nil {
		panic(err)
	}
	b.cluster.Members, b.cluster.Removed = next.Members, next.Removed
	return refused
}

func (b *treeBackend) Auth() *auth.State {
	st := b.auth.Load()
	if b.asked != nil {
		b.asked()
	}
	return st
}

func (b *treeBackend) setAuth(st *auth.State) {
	b.auth.Store(st)
	select {
	case b.authChanged <- struct{}{}:
	default:
	}
}

func (b *treeBackend) AuthChanged() <-chan struct{} { return b.authChanged }

func (b *treeBackend) ChangeAuth(c *auth.Change) (auth.Outcome, *tree.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return auth.Outcome{}, b.err
	}
	old := b.auth.Load()
	next, out := old.Apply(c)
	b.auth.Store(next)
	if next != old {
		select {
		case b.authChanged <- struct{}{}:
		default:
		}
	}
	return out, nil
}

func (b *treeBackend) Healthy() bool { return !b.down }
