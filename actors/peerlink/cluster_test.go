package peerlink_test

import (
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"copse/actors/peerlink"
	"copse/config/certs/tlstest"

	"github.com/lni/dragonboat/v4"
	raft "github.com/lni/dragonboat/v4/config"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// store is a state machine on disk whose disk is memory: the same store is opened
// again when its member comes back.
type store struct {
	mu        sync.RWMutex
	values    map[uint64][]byte // by number, the first eight bytes of a command
	applied   uint64
	recovered atomic.Int32 // number of snapshots received
}

func (s *store) Open(<-chan struct{}) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[uint64][]byte)
	}
	return s.applied, nil
}

func (s *store) Update(entries []sm.Entry) ([]sm.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range entries {
		s.values[binary.LittleEndian.Uint64(e.Cmd)] = append([]byte(nil), e.Cmd[8:]...)
		s.applied = e.Index
		entries[i].Result = sm.Result{Value: e.Index}
	}
	return entries, nil
}

func (s *store) Lookup(any) (any, error)       { return s.count(), nil }
func (s *store) Sync() error                   { return nil }
func (s *store) Close() error                  { return nil }
func (s *store) PrepareSnapshot() (any, error) { return s.image(), nil }
func (s *store) count() int                    { return len(s.image().Values) }
func (s *store) same(other *store) bool        { return s.image().equal(other.image()) }
func (i image) equal(other image) bool {
	return i.Applied == other.Applied && maps.EqualFunc(i.Values, other.Values, bytesEqual)
}
func bytesEqual(a, b []byte) bool { return string(a) == string(b) }

// image is the content of a snapshot.
type image struct {
	Applied uint64
	Values  map[uint64][]byte
}

func (s *store) image() image {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return image{s.applied, maps.Clone(s.values)}
}

func (s *store) SaveSnapshot(prepared any, w io.Writer, _ <-chan struct{}) error {
	return gob.NewEncoder(w).Encode(prepared)
}

func (s *store) RecoverFromSnapshot(r io.Reader, _ <-chan struct{}) error {
	var i image
	if err := gob.NewDecoder(r).Decode(&i); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values, s.applied = i.Values, i.Applied
	s.recovered.Add(1)
	return nil
}

const shards = 3

// raftMember is a member with a dragonboat of its own.
type raftMember struct {
	*party
	dir    string
	host   *dragonboat.NodeHost
	stores [shards + 1]*store
}

// run starts the member's dragonboat and its replicas. Without founders, it is a restart
// or the member joins.
func (m *raftMember) run(t *testing.T, founders map[uint64]string, joins bool) {
	t.Helper()
	logdb := raft.GetTinyMemLogDBConfig()
	logdb.Shards = 1
	host, err := dragonboat.NewNodeHost(raft.NodeHostConfig{
		DeploymentID:   cluster,
		NodeHostDir:    m.dir,
		NodeHostID:     peerlink.MemberUUID(m.id),
		RTTMillisecond: 10,
		RaftAddress:    strings.SplitN(m.url, "://", 2)[1],
		Expert: raft.ExpertConfig{
			Engine:              raft.EngineConfig{ExecShards: 1, CommitShards: 1, ApplyShards: shards + 1, SnapshotShards: 4, CloseShards: shards + 1},
			LogDB:               logdb,
			TransportFactory:    m.TransportFactory(),
			NodeRegistryFactory: m.RegistryFactory(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.host = host
	for shard := uint64(1); shard <= shards; shard++ {
		st := m.stores[shard]
		err := host.StartOnDiskReplica(founders, joins, func(uint64, uint64) sm.IOnDiskStateMachine { return st }, raft.Config{
			ReplicaID: m.id, ShardID: shard, CheckQuorum: true, PreVote: true, OrderedConfigChange: true,
			IsNonVoting:  joins,
			HeartbeatRTT: 2, ElectionRTT: 20, SnapshotEntries: 100, CompactionOverhead: 10,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (m *raftMember) halt() {
	if m.host != nil {
		m.host.Close()
		m.host = nil
	}
}

// write proposes until it succeeds, since the leader may be changing.
func (m *raftMember) write(t *testing.T, shard, number uint64, value []byte) {
	t.Helper()
	cmd := append(binary.LittleEndian.AppendUint64(nil, number), value...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, 2*time.Second)
		_, err := m.host.SyncPropose(attempt, m.host.GetNoOPSession(shard), cmd)
		done()
		if err == nil {
			return
		}
		if ctx.Err() != nil || errors.Is(err, dragonboat.ErrClosed) {
			t.Fatalf("write %d to shard %d: %v", number, shard, err)
		}
	}
}

func newRaftMember(t *testing.T, id uint64, change ...func(*peerlink.Options)) *raftMember {
	m := &raftMember{party: join(t, id, change...), dir: t.TempDir()}
	for shard := range m.stores {
		m.stores[shard] = new(store)
	}
	t.Cleanup(m.halt)
	return m
}

func parties(members []*raftMember) (all []*party) {
	for _, m := range members {
		all = append(all, m.party)
	}
	return all
}

// Three dragonboats over three links elect leaders, write, lose connections, and catch
// up by snapshot, even from a new address. One of them is dialled without TLS, the
// others with it.
func TestACluster(t *testing.T) {
	security := withTLS(tlstest.New(t))
	plain := func(o *peerlink.Options) { security(o); o.ServerTLS = nil }
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	members := []*raftMember{}
	founders := make(map[uint64]string)
	for _, port := range []func(*peerlink.Options){plain, security, security} {
		m := newRaftMember(t, rnd.Uint64(), port)
		members = append(members, m)
		founders[m.id] = peerlink.MemberUUID(m.id)
	}
	introduce(parties(members)...)
	for _, m := range members {
		m.run(t, founders, false)
	}
	number := uint64(0)
	fill := func(on []*raftMember, rounds, size int) {
		t.Helper()
		var wg sync.WaitGroup
		for shard := uint64(1); shard <= shards; shard++ {
			first := number
			wg.Go(func() {
				for i := range uint64(rounds) {
					on[i%uint64(len(on))].write(t, shard, first+i, []byte(strings.Repeat(fmt.Sprint(first+i), size/4)))
				}
			})
		}
		wg.Wait()
		number += uint64(rounds)
	}
	agree := func(on []*raftMember) {
		t.Helper()
		for shard := 1; shard <= shards; shard++ {
			for _, m := range on[1:] {
				eventually(t, "all replicas are the same", func() bool { return m.stores[shard].same(on[0].stores[shard]) })
			}
		}
	}

	fill(members, 30, 100)
	agree(members)
	checkStats(t, members)

	// One member is down until the others' logs no longer hold what it lacks.
	away, others := members[2], members[:2]
	away.halt()
	fill(others, 150, 24_000)
	agree(others)
	for shard := 1; shard <= shards; shard++ {
		if away.stores[shard].recovered.Load() != 0 {
			t.Fatal("a snapshot came before anything was missing")
		}
	}
	away.run(t, nil, false)
	agree(members)
	for shard := 1; shard <= shards; shard++ {
		if away.stores[shard].recovered.Load() == 0 {
			t.Errorf("shard %d caught up without a snapshot", shard)
		}
	}

	// It moves to another port, and the others are told.
	away.halt()
	away.Close()
	away.party = join(t, away.id, security)
	introduce(parties(members)...)
	away.run(t, nil, false)
	fill(members, 30, 100)
	agree(members)
	addMember(t, members, newRaftMember(t, rnd.Uint64(), security))
}

// addMember adds a new member, which has to receive everything.
func addMember(t *testing.T, members []*raftMember, newcomer *raftMember) {
	t.Helper()
	introduce(parties(append(members, newcomer))...)
	for shard := uint64(1); shard <= shards; shard++ {
		deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			attempt, done := context.WithTimeout(deadline, 5*time.Second)
			current, err := members[0].host.SyncGetShardMembership(attempt, shard)
			if err == nil {
				err = members[0].host.SyncRequestAddNonVoting(attempt, shard, newcomer.id, peerlink.MemberUUID(newcomer.id), current.ConfigChangeID)
			}
			done()
			if err == nil || current != nil && current.NonVotings[newcomer.id] != "" {
				break
			}
			if deadline.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	newcomer.run(t, nil, true)
	for shard := 1; shard <= shards; shard++ {
		st := newcomer.stores[shard]
		eventually(t, "the newcomer has caught up", func() bool { return st.same(members[0].stores[shard]) })
		if st.recovered.Load() == 0 {
			t.Errorf("shard %d came without a snapshot", shard)
		}
	}
}

func checkStats(t *testing.T, members []*raftMember) {
	t.Helper()
	sent, received := uint64(0), uint64(0)
	for _, m := range members {
		s := m.Stats()
		sent += s.SendAppends
		received += s.RecvAppends
		for _, f := range s.Followers {
			if f.Success > 0 && (f.Average <= 0 || f.Minimum <= 0 || f.Maximum < f.Average || f.Current <= 0) {
				t.Errorf("%x: %+v", m.id, f)
			}
			if f.Success > 0 && time.Since(m.LastHeard(f.ID)) > time.Minute {
				t.Errorf("%x has not heard of %x", m.id, f.ID)
			}
		}
	}
	if sent < 100 || received < 100 {
		t.Errorf("%d appends sent, %d received", sent, received)
	}
}
