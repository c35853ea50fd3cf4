package peerlink_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"copse/actors/peerlink"

	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

const deployment = 77

// engine stands in for dragonboat and records what it receives.
type engine struct {
	raftio.ITransport
	of      *party
	batches chan pb.MessageBatch
	chunks  chan pb.Chunk
	ctx     context.Context
	cancel  context.CancelFunc
}

// start attaches an engine to the party's link until the test ends.
func start(t *testing.T, p *party) *engine {
	t.Helper()
	e := &engine{of: p, batches: make(chan pb.MessageBatch), chunks: make(chan pb.Chunk)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.ITransport = p.TransportFactory().Create(raft.NodeHostConfig{DeploymentID: deployment},
		func(b pb.MessageBatch) {
			select {
			case e.batches <- b:
			case <-e.ctx.Done():
			}
		},
		func(c pb.Chunk) bool {
			select {
			case e.chunks <- c:
				return string(c.Data) != "refuse"
			case <-e.ctx.Done():
				return false
			}
		})
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.stop)
	return e
}

func (e *engine) stop() {
	e.cancel()
	e.Close()
}

// to returns the connection that carries dragonboat's messages of the shard.
func (e *engine) to(t *testing.T, member, shard uint64) raftio.IConnection {
	t.Helper()
	c, err := e.GetConnection(e.ctx, e.target(t, member, shard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (e *engine) target(t *testing.T, member, shard uint64) string {
	t.Helper()
	r, err := e.of.RegistryFactory().Create("", 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	target, _, err := r.Resolve(shard, member)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// message is an append, or whatever else the type says, from one to the other.
func message(from, to *engine, shard uint64, kind pb.MessageType, raftIndex uint64, payload string) pb.Message {
	m := pb.Message{Type: kind, From: from.of.id, To: to.of.id, ShardID: shard, Term: 3, LogIndex: raftIndex}
	if kind == pb.Replicate {
		m.LogIndex--
		m.Entries = []pb.Entry{{Term: 3, Index: raftIndex, Cmd: []byte(payload)}}
	}
	return m
}

func batch(m ...pb.Message) pb.MessageBatch {
	return pb.MessageBatch{Requests: m, DeploymentId: deployment, BinVer: raftio.TransportBinVersion}
}

func TestACampaignReachesTheEngineUntilItIsClosed(t *testing.T) {
	p := join(t, 0xa)
	p.Campaign(3) // nobody is there
	e := start(t, p)
	go p.Campaign(3)
	want := pb.Message{Type: pb.TimeoutNow, ShardID: 3, From: 0xa, To: 0xa}
	if got := <-e.batches; !reflect.DeepEqual(got.Requests, []pb.Message{want}) || got.DeploymentId != deployment || got.BinVer != raftio.TransportBinVersion {
		t.Errorf("%v", got)
	}
	e.stop()
	p.Campaign(3)
	select {
	case got := <-e.batches:
		t.Errorf("after the end: %v", got)
	default:
	}
}

func TestBatchesReachTheEngine(t *testing.T) {
	pa, pb1 := join(t, 0xa), join(t, 0xb)
	introduce(pa, pb1)
	a, b := start(t, pa), start(t, pb1)
	to, back := a.to(t, 0xb, 3), b.to(t, 0xa, 3)
	for i, payload := range []string{"small", "", strings.Repeat("large", 1<<20), "small again"} {
		raftIndex := uint64(10 + i)
		if err := to.SendMessageBatch(batch(message(a, b, 3, pb.Replicate, raftIndex, payload), message(a, b, 4, pb.Heartbeat, 0, ""))); err != nil {
			t.Fatal(err)
		}
		got := <-b.batches
		if len(got.Requests) != 2 || string(got.Requests[0].Entries[0].Cmd) != payload {
			t.Fatalf("batch %d: %d messages", i, len(got.Requests))
		}
		if err := back.SendMessageBatch(batch(message(b, a, 3, pb.ReplicateResp, raftIndex, ""))); err != nil {
			t.Fatal(err)
		}
		<-a.batches
	}
	sent, received := pa.Stats(), pb1.Stats()
	if sent.SendAppends != 4 || sent.RecvAppends != 0 || received.RecvAppends != 4 || received.SendAppends != 0 {
		t.Errorf("sent: %+v, received: %+v", sent, received)
	}
	if sent.SendPackageRate <= 0 || sent.SendBandwidthRate < 1<<20 || received.RecvPackageRate <= 0 || received.RecvBandwidthRate < 1<<20 {
		t.Errorf("sent: %+v, received: %+v", sent, received)
	}
	if len(sent.Followers) != 1 || len(received.Followers) != 0 {
		t.Fatalf("sent: %+v, received: %+v", sent, received)
	}
	f := sent.Followers[0]
	if f.ID != 0xb || f.Success != 4 || f.Fail != 0 || f.Minimum <= 0 || f.Minimum > f.Current || f.Current > f.Maximum || f.Average < f.Minimum || f.Average > f.Maximum {
		t.Errorf("%+v", f)
	}
	eventually(t, "the rates fall to nothing", func() bool {
		s := pa.Stats()
		return s.SendPackageRate == 0 && s.SendBandwidthRate == 0
	})
}

// Without an engine, nobody receives raft's messages, but calls work.
func TestRaftWaitsForTheEngine(t *testing.T) {
	pa, pb1 := join(t, 0xa), join(t, 0xb)
	introduce(pa, pb1)
	a := start(t, pa)
	for range 2 {
		if _, err := a.GetConnection(t.Context(), "b"); !errors.Is(err, peerlink.NotReady) {
			t.Errorf("without an engine: %v", err)
		}
		b := start(t, pb1)
		if err := pb1.TransportFactory().Create(raft.NodeHostConfig{}, nil, nil).Start(); err == nil {
			t.Error("two engines at once")
		}
		c := a.to(t, 0xb, 1)
		if err := c.SendMessageBatch(batch(message(a, b, 1, pb.Replicate, 1, "x"))); err != nil {
			t.Fatal(err)
		}
		<-b.batches
		b.stop()
		eventually(t, "the connection breaks", func() bool {
			return c.SendMessageBatch(batch(message(a, b, 1, pb.Replicate, 1, "x"))) != nil
		})
		if _, err := pa.ask(t, 0xb, 1, "x"); err != nil {
			t.Errorf("a call, without an engine: %v", err)
		}
	}
	if f := pa.Stats().Followers; len(f) != 1 || f[0].Fail < 4 {
		t.Errorf("failures: %+v", f)
	}
}

func TestTheEngineIsNotLiedTo(t *testing.T) {
	pa, pb1 := join(t, 0xa), join(t, 0xb)
	introduce(pa, pb1)
	a, b := start(t, pa), start(t, pb1)
	c := a.to(t, 0xb, 1)
	stranger := message(a, b, 1, pb.Heartbeat, 0, "")
	stranger.From = 0xc
	nobody := message(a, b, 1, pb.Heartbeat, 0, "")
	nobody.To = 0
	foreign := batch(message(a, b, 1, pb.Heartbeat, 0, ""))
	foreign.DeploymentId++
	for _, bad := range []pb.MessageBatch{batch(stranger), batch(nobody), foreign, batch(message(a, b, 1, pb.InstallSnapshot, 0, ""))} {
		if err := c.SendMessageBatch(bad); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SendMessageBatch(batch(nobody, message(a, b, 1, pb.Replicate, 5, "true"))); err != nil {
		t.Fatal(err)
	}
	if got := <-b.batches; len(got.Requests) != 1 || got.Requests[0].LogIndex != 4 {
		t.Errorf("%+v", got)
	}
	if _, err := a.GetConnection(t.Context(), "nonsense"); err == nil {
		t.Error("a target that is nobody")
	}
}

func chunk(from, to *engine, id uint64, last bool, data []byte) pb.Chunk {
	c := pb.Chunk{
		ShardID: 3, ReplicaID: to.of.id, From: from.of.id, ChunkId: id, FileChunkId: id, Index: 0xabc, Data: data,
		DeploymentId: deployment, BinVer: raftio.TransportBinVersion, Filepath: "snapshot-0000000000000ABC.gbsnap",
	}
	if last {
		c.ChunkCount = pb.LastChunkCount
	}
	return c
}

func TestSnapshotsReachTheEngine(t *testing.T) {
	pa, pb1 := join(t, 0xa), join(t, 0xb)
	introduce(pa, pb1)
	a, b := start(t, pa), start(t, pb1)
	connect := func() raftio.ISnapshotConnection {
		t.Helper()
		c, err := a.GetSnapshotConnection(a.ctx, "b")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	image := [][]byte{make([]byte, 2<<20+1028), bytes.Repeat([]byte("x"), 2<<20), nil}

	// A replica that has never said anything has no place for an image.
	c := connect()
	err := c.SendChunk(chunk(a, b, 0, true, image[0]))
	if err == nil {
		t.Error("an image for a replica that isn't there is stored")
	}
	c.Close()
	if err := b.to(t, 0xa, 3).SendMessageBatch(batch(message(b, a, 3, pb.HeartbeatResp, 0, ""))); err != nil {
		t.Fatal(err)
	}
	<-a.batches

	c = connect()
	sent := make(chan error)
	go func() {
		for i, data := range image {
			if err := c.SendChunk(chunk(a, b, uint64(i), i == len(image)-1, data)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i, data := range image {
		if got := <-b.chunks; got.ChunkId != uint64(i) || !bytes.Equal(got.Data, data) {
			t.Errorf("chunk %d: %d with %d bytes", i, got.ChunkId, len(got.Data))
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	c.Close()

	// The last chunk is not sent before it is stored.
	c = connect()
	go func() { sent <- c.SendChunk(chunk(a, b, 7, true, []byte("refuse"))) }()
	<-b.chunks
	if err := <-sent; err == nil {
		t.Error("an image that the engine refuses is stored")
	}
	c.Close()

	// Nor is it awaited for ever.
	c = connect()
	go func() { sent <- c.SendChunk(chunk(a, b, 8, true, []byte("never taken"))) }()
	a.cancel()
	if err := <-sent; err == nil {
		t.Error("an image that nobody has looked at is stored")
	}
	c.Close()
}

// A member that has stopped reading must not block the sender for ever.
func TestASlowReader(t *testing.T) {
	pa, pb1 := join(t, 0xa, inHaste), join(t, 0xb, inHaste)
	introduce(pa, pb1)
	a, b := start(t, pa), start(t, pb1)
	c := a.to(t, 0xb, 1)
	large := batch(message(a, b, 1, pb.Replicate, 1, strings.Repeat("x", 1<<20)))
	eventually(t, "a send fails", func() bool { return c.SendMessageBatch(large) != nil })
	if f := pa.Stats().Followers; len(f) != 1 || f[0].Fail == 0 {
		t.Errorf("failures: %+v", f)
	}
	if _, err := pa.ask(t, 0xb, 1, "x"); err != nil {
		t.Errorf("a call, meanwhile: %v", err)
	}
}

// dragonboat's end ends what it waits for.
func TestTheEnginesEndFreesASend(t *testing.T) {
	pa, pb1 := join(t, 0xa), join(t, 0xb)
	introduce(pa, pb1)
	a, b := start(t, pa), start(t, pb1)
	c := a.to(t, 0xb, 1)
	large := batch(message(a, b, 1, pb.Replicate, 1, strings.Repeat("x", 1<<20)))
	failed := make(chan error)
	go func() {
		for {
			if err := c.SendMessageBatch(large); err != nil {
				failed <- err
				return
			}
		}
	}()
	<-b.batches
	a.cancel()
	<-failed
}

// After a member's restart, the first message sent to it arrives.
func TestRaftNoticesARestart(t *testing.T) {
	pa, before := join(t, 0xa), join(t, 0xb)
	introduce(pa, before)
	a, b := start(t, pa), start(t, before)
	c := a.to(t, 0xb, 1)
	beat := batch(message(a, b, 1, pb.Heartbeat, 0, ""))
	if err := c.SendMessageBatch(beat); err != nil {
		t.Fatal(err)
	}
	<-b.batches
	b.stop()
	before.Close()
	if err := c.SendMessageBatch(beat); err == nil {
		t.Error("sent to a member that isn't there")
	}
	after := join(t, 0xb, func(o *peerlink.Options) { o.Listen = []string{before.url} })
	b = start(t, after)
	c = a.to(t, 0xb, 1) // dragonboat asks for another one after an error
	if err := c.SendMessageBatch(beat); err != nil {
		t.Fatal(err)
	}
	<-b.batches
	b.stop()
	after.Close()
	b = start(t, join(t, 0xb, func(o *peerlink.Options) { o.Listen = []string{before.url} }))
	if err := c.SendMessageBatch(beat); err != nil {
		t.Fatal(err)
	}
	<-b.batches
}

func TestRaftFollowsTheBook(t *testing.T) {
	var removed atomic.Bool
	pa, old := join(t, 0xa, func(o *peerlink.Options) {
		o.Allowed = func(uint64) error {
			if removed.Load() {
				return peerlink.Removed
			}
			return nil
		}
	}), join(t, 0xb)
	introduce(pa, old)
	a, b := start(t, pa), start(t, old)
	c := a.to(t, 0xb, 1)
	beat := batch(message(a, b, 1, pb.Heartbeat, 0, ""))
	if err := c.SendMessageBatch(beat); err != nil {
		t.Fatal(err)
	}
	<-b.batches
	moved := join(t, 0xb)
	m := start(t, moved)
	introduce(pa, moved)
	if err := c.SendMessageBatch(beat); err == nil {
		t.Error("sent to where the member was")
	}
	if err := a.to(t, 0xb, 1).SendMessageBatch(beat); err != nil {
		t.Fatal(err)
	}
	<-m.batches

	// Messages of a removed sender are ignored, even on its open connections.
	back := m.to(t, 0xa, 1)
	removed.Store(true)
	pa.book.Set(map[uint64][]string{0xa: {pa.url}})
	eventually(t, "the removed member's connection breaks", func() bool {
		return back.SendMessageBatch(batch(message(m, a, 1, pb.HeartbeatResp, 0, ""))) != nil
	})
	r, _ := pa.RegistryFactory().Create("", 4, nil)
	if _, _, err := r.Resolve(1, 0xb); err == nil {
		t.Error("the engine is told where a removed member is")
	}
	if f := pa.Stats().Followers; len(f) != 0 {
		t.Errorf("a removed member follows: %+v", f)
	}
}

// The engine closes its idle connections; if it is gone, the link does.
func TestIdleRaftConnectionsEnd(t *testing.T) {
	p := join(t, 0xb, inHaste)
	start(t, p)
	c := dialRaw(t, p)
	if _, err := c.Write(peerlink.Hello(cluster, 0, 0xa, 0xb)); err != nil {
		t.Fatal(err)
	}
	hangsUp(t, c)
}
