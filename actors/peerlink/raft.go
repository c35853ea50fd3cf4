package peerlink

import (
	"context"
	"errors"
	"fmt"
	"sync"

	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// TransportFactory returns the ExpertConfig.TransportFactory for dragonboat. When
// dragonboat is closed, the link carries no more raft traffic, but still takes calls;
// another dragonboat may follow.
func (l *Link) TransportFactory() raft.TransportFactory { return transportFactory{l} }

type transportFactory struct{ l *Link }

// Create implements config.TransportFactory.
func (f transportFactory) Create(c raft.NodeHostConfig, batches raftio.MessageHandler, chunks raftio.ChunkHandler) raftio.ITransport {
	return &transport{
		l: f.l, deployment: c.GetDeploymentID(), batches: batches, chunks: chunks,
		conns: make(map[*conn]struct{}),
	}
}

// Validate implements config.TransportFactory.
func (transportFactory) Validate(address string) bool { return dialable(address) }

// transport is the link as dragonboat sees it: a raftio.ITransport.
type transport struct {
	l          *Link
	deployment uint64
	batches    raftio.MessageHandler
	chunks     raftio.ChunkHandler
	spoken     sync.Map // ids of the shards that dragonboat has sent something for

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{} // that other members have dialled
	wg     sync.WaitGroup     // their goroutines, and calls of Campaign; added to under mu, while not closed
}

// Name implements raftio.ITransport.
func (t *transport) Name() string { return "copse" }

// Start implements raftio.ITransport: raft traffic is accepted from now on.
func (t *transport) Start() error {
	if !t.l.raft.CompareAndSwap(nil, t) {
		return errors.New("another dragonboat uses the peer link")
	}
	return nil
}

// Close implements raftio.ITransport. dragonboat receives nothing after it.
func (t *transport) Close() error {
	t.l.raft.CompareAndSwap(t, nil)
	t.mu.Lock()
	t.closed = true
	for c := range t.conns {
		c.close()
	}
	t.mu.Unlock()
	t.wg.Wait()
	return nil
}

// Campaign has this member's replica of the shard stand for election at once, as if its leader
// asked it to take over: dragonboat has no other way. It does nothing unless the replica is a
// follower.
func (l *Link) Campaign(shard uint64) {
	t := l.raft.Load()
	if t == nil {
		return
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.wg.Add(1)
	t.mu.Unlock()
	defer t.wg.Done()
	now := pb.Message{Type: pb.TimeoutNow, ShardID: shard, From: l.o.Self, To: l.o.Self}
	t.batches(pb.MessageBatch{Requests: []pb.Message{now}, DeploymentId: t.deployment, BinVer: raftio.TransportBinVersion})
}

// serve delivers what arrives on the connection to dragonboat, until it ends.
func (t *transport) serve(c *conn) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.conns[c] = struct{}{}
	t.wg.Add(1)
	t.mu.Unlock()
	defer t.wg.Done()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.conns, c)
	}()
	who := parties{deployment: t.deployment, from: c.member, to: t.l.o.Self}
	if c.kind == kindSnapshot {
		return t.takeChunks(c, who)
	}
	return t.takeBatches(c, who)
}

// keptBuffer is the largest buffer, in bytes, that a connection keeps for reuse.
const keptBuffer = 1 << 20

func (t *transport) takeBatches(c *conn, who parties) error {
	limit := func(f frameType) int {
		if f == frameBatch {
			return batchLimit
		}
		return 0
	}
	var buf []byte
	for {
		_, payload, err := c.next(t.l.timeouts.raft, buf, limit)
		if err != nil {
			return err
		}
		batch, err := who.batch(payload)
		if err != nil {
			return err
		}
		now := t.l.now()
		t.l.received.add(now, appendsIn(&batch), frameHead+len(payload))
		c.peer.received(now, &batch)
		if len(batch.Requests) > 0 {
			t.batches(batch)
		}
		if buf = nil; cap(payload) <= keptBuffer {
			buf = payload
		}
	}
}

// errChunkRefused is why a connection ends before all of its snapshot was received.
var errChunkRefused = errors.New("dragonboat rejected a chunk of a snapshot")

func (t *transport) takeChunks(c *conn, who parties) error {
	limit := func(f frameType) int {
		if f == frameChunk {
			return chunkLimit
		}
		return 0
	}
	var buf []byte
	for {
		_, payload, err := c.next(t.l.timeouts.chunk, buf, limit)
		if err != nil {
			return err
		}
		buf = payload
		chunk, err := who.chunk(payload)
		if err != nil {
			return err
		}
		// dragonboat ends the process when it gets a snapshot for a replica for which
		// it has no directory. It has one once the replica has sent something.
		if _, ours := t.spoken.Load(chunk.ShardID); !ours || !t.chunks(chunk) {
			return errChunkRefused
		}
		if chunk.IsLastChunk() {
			if _, err := c.Write(sealFrame(beginFrame(nil), frameStored)); err != nil {
				return err
			}
		}
	}
}

// GetConnection implements raftio.ITransport. ctx is dragonboat's; when it ends, the
// connection is closed.
func (t *transport) GetConnection(ctx context.Context, target string) (raftio.IConnection, error) {
	c, err := t.dial(ctx, target, kindRaft)
	if err != nil {
		return nil, err
	}
	return &raftConn{t: t, ctx: ctx, target: target, c: c, release: c.closeWith(ctx)}, nil
}

// GetSnapshotConnection implements raftio.ITransport, likewise.
func (t *transport) GetSnapshotConnection(ctx context.Context, target string) (raftio.ISnapshotConnection, error) {
	c, err := t.dial(ctx, target, kindSnapshot)
	if err != nil {
		return nil, err
	}
	c.writesToDisk()
	return &snapshotConn{t: t, c: c, release: c.closeWith(ctx)}, nil
}

func (t *transport) dial(ctx context.Context, target string, k kind) (*conn, error) {
	member, err := memberOf(target)
	if err != nil {
		return nil, err
	}
	c, err := t.l.dial(ctx, member, k)
	if err != nil && k == kindRaft {
		t.l.peer(member).failed(1)
	}
	return c, err
}

// raftConn sends message batches to one member. dragonboat uses it on one goroutine.
type raftConn struct {
	t       *transport
	ctx     context.Context // dragonboat's
	target  string
	c       *conn
	release func() bool
	buf     []byte
}

// Close implements raftio.IConnection.
func (r *raftConn) Close() {
	r.release()
	r.t.l.drop(r.c)
}

// renew dials again if the other side has closed the connection, because it restarts. A
// follower that had nothing to send meanwhile would notice only by losing its first
// message: its vote, or its clients' writes; and dragonboat would then send nothing for
// up to a second.
func (r *raftConn) renew() error {
	if !r.c.hungUp() {
		return nil
	}
	r.Close()
	c, err := r.t.dial(r.ctx, r.target, kindRaft)
	if err != nil {
		return err
	}
	r.c, r.release = c, c.closeWith(r.ctx)
	return nil
}

// SendMessageBatch implements raftio.IConnection.
func (r *raftConn) SendMessageBatch(batch pb.MessageBatch) error {
	if err := r.renew(); err != nil {
		return err
	}
	for i := range batch.Requests {
		r.t.spoken.LoadOrStore(batch.Requests[i].ShardID, struct{}{})
	}
	frame, err := marshalFrame(r.buf, frameBatch, &batch, batch.SizeUpperLimit(), batchLimit)
	if err != nil {
		return err
	}
	if r.buf = nil; cap(frame) <= keptBuffer {
		r.buf = frame
	}
	appends, now := appendsIn(&batch), r.t.l.now()
	if appends > 0 {
		r.c.peer.sending(now, &batch)
	}
	if _, err := r.c.Write(frame); err != nil {
		r.c.peer.failed(appends)
		return err
	}
	r.c.peer.sent.Add(uint64(appends))
	r.t.l.sent.add(now, appends, len(frame))
	return nil
}

// snapshotConn sends the chunks of one image to one member. dragonboat uses it on one
// goroutine.
type snapshotConn struct {
	t       *transport
	c       *conn
	release func() bool
	buf     []byte
}

// Close implements raftio.ISnapshotConnection.
func (s *snapshotConn) Close() {
	s.release()
	s.t.l.drop(s.c)
}

// SendChunk implements raftio.ISnapshotConnection. After the last chunk it waits until
// the other side has stored the whole image.
func (s *snapshotConn) SendChunk(chunk pb.Chunk) error {
	frame, err := marshalFrame(s.buf, frameChunk, &chunk, chunk.Size(), chunkLimit)
	if err != nil {
		return err
	}
	s.buf = frame
	if _, err := s.c.Write(frame); err != nil || !chunk.IsLastChunk() {
		return err
	}
	_, _, err = s.c.next(s.t.l.timeouts.chunk, nil, func(t frameType) int {
		if t == frameStored {
			return 1
		}
		return 0
	})
	if err != nil {
		return fmt.Errorf("member %x has not stored the snapshot: %w", s.c.member, err)
	}
	return nil
}

// marshalFrame returns a frame with m, which takes size bytes at most. It uses buf's
// memory if that is large enough.
func marshalFrame(buf []byte, t frameType, m pb.Marshaler, size, limit int) ([]byte, error) {
	if cap(buf) < frameHead+size {
		buf = make([]byte, frameHead+size)
	}
	buf = buf[:frameHead+size]
	n, err := m.MarshalTo(buf[frameHead:])
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("a frame of %d bytes is too large", n)
	}
	return sealFrame(buf[:frameHead+n], t), nil
}
