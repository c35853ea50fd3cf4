package peerlink

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"copse/statemachine/metric"
	"copse/statemachine/tree"

	pb "github.com/lni/dragonboat/v4/raftpb"
)

// traffic counts appends in one direction: raft's Replicate messages that have entries.
// As in v2, heartbeats and the like aren't counted.
type traffic struct {
	mu    sync.Mutex
	total uint64
	slots [rateSlots]slot
	last  int64 // the number of the latest slot
}

// The rates are those of the last second, counted in slots. So they are 0 a second after
// the last append.
const (
	rateSlots  = 10
	slotLength = 100 * time.Millisecond
)

type slot struct{ appends, bytes uint64 }

// add counts a frame with so many appends. now is the time since the link was opened.
func (t *traffic) add(now time.Duration, appends, bytes int) {
	if appends == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += uint64(appends)
	t.turn(now)
	s := &t.slots[t.last%rateSlots]
	s.appends += uint64(appends)
	s.bytes += uint64(bytes)
}

// turn clears the slots that have become too old.
func (t *traffic) turn(now time.Duration) {
	n := int64(now / slotLength)
	if n-t.last > rateSlots {
		t.last = n - rateSlots
	}
	for t.last < n {
		t.last++
		t.slots[t.last%rateSlots] = slot{}
	}
}

// rates returns the total, and the numbers per second.
func (t *traffic) rates(now time.Duration) (total uint64, appends, bytes float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	for _, s := range t.slots {
		appends += float64(s.appends)
		bytes += float64(s.bytes)
	}
	// The latest slot isn't over yet.
	span := (rateSlots-1)*slotLength + now%slotLength
	return t.total, appends / span.Seconds(), bytes / span.Seconds()
}

// appendsIn counts the appends in a batch.
func appendsIn(batch *pb.MessageBatch) int {
	n := 0
	for i := range batch.Requests {
		if m := &batch.Requests[i]; m.Type == pb.Replicate && len(m.Entries) > 0 {
			n++
		}
	}
	return n
}

// peer is what is remembered about one other member while the link is open.
type peer struct {
	heard atomic.Int64  // when bytes last arrived, since the link was opened; 0: never
	sent  atomic.Uint64 // appends
	calls pool
	posts posts

	mu        sync.Mutex
	preferred string // the peer URL that worked last
	appends   appends
}

// appends are the measurements of appends to one member. Guarded by peer.mu.
type appends struct {
	shards        map[uint64]*flight
	success, fail uint64
	samples       uint64
	current       float64 // milliseconds, as the following
	mean, squares float64 // Welford's: squares of the differences from the mean
	least, most   float64
	latency       *metric.Histogram // of the samples
}

// flight is one shard's appends to one member. One append at a time is timed: an
// acknowledgement names an entry, not the append it is for.
type flight struct {
	acked  uint64 // the member has the entries up to here
	sample uint64 // the last entry of the append being timed; 0: none
	since  time.Duration
}

// sampleLimit is when the timing of an append is abandoned: its answer was lost.
const sampleLimit = 10 * time.Second

// sending notes the appends of a batch that is about to be sent.
func (p *peer) sending(now time.Duration, batch *pb.MessageBatch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range batch.Requests {
		m := &batch.Requests[i]
		if m.Type != pb.Replicate || len(m.Entries) == 0 {
			continue
		}
		f := p.appends.shards[m.ShardID]
		if f == nil {
			if p.appends.shards == nil {
				p.appends.shards = make(map[uint64]*flight)
			}
			f = new(flight)
			p.appends.shards[m.ShardID] = f
		}
		// Entries that another leader sent before may be sent again.
		f.acked = min(f.acked, m.Entries[0].Index-1)
		if f.sample == 0 || now-f.since > sampleLimit {
			f.sample, f.since = m.Entries[len(m.Entries)-1].Index, now
		}
	}
}

// failed notes that so many appends could not be sent, and stops timing those under way.
func (p *peer) failed(appends int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.appends.fail += uint64(appends)
	for _, f := range p.appends.shards {
		f.sample = 0
	}
}

// received notes the acknowledgements in a batch that has arrived.
func (p *peer) received(now time.Duration, batch *pb.MessageBatch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range batch.Requests {
		m := &batch.Requests[i]
		if m.Type != pb.ReplicateResp || m.Reject {
			continue
		}
		f := p.appends.shards[m.ShardID]
		if f == nil || m.LogIndex <= f.acked {
			continue
		}
		f.acked = m.LogIndex
		p.appends.success++
		if f.sample != 0 && f.sample <= m.LogIndex {
			if took := now - f.since; took <= sampleLimit {
				p.appends.record(float64(took) / float64(time.Millisecond))
				p.appends.latency.Observe(int64(took))
			}
			f.sample = 0
		}
	}
}

func (a *appends) record(ms float64) {
	if a.samples == 0 {
		a.least, a.most = ms, ms
	}
	a.samples++
	a.current, a.least, a.most = ms, min(a.least, ms), max(a.most, ms)
	d := ms - a.mean
	a.mean += d / float64(a.samples)
	a.squares += d * (ms - a.mean)
}

// follower returns the measurements, and whether anything was ever sent.
func (p *peer) follower(id uint64) (tree.FollowerStats, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.appends
	s := tree.FollowerStats{
		ID: id, Current: a.current, Average: a.mean, Minimum: a.least, Maximum: a.most,
		Success: a.success, Fail: a.fail,
	}
	if a.samples > 0 {
		s.StandardDeviation = math.Sqrt(a.squares / float64(a.samples))
	}
	return s, len(a.shards) > 0 || a.fail > 0
}

// Stats returns what was measured since the link was opened.
func (l *Link) Stats() tree.PeerStats {
	var s tree.PeerStats
	now := l.now()
	s.SendAppends, s.SendPackageRate, s.SendBandwidthRate = l.sent.rates(now)
	s.RecvAppends, s.RecvPackageRate, s.RecvBandwidthRate = l.received.rates(now)
	for id, p := range l.allPeers() {
		if f, any := p.follower(id); any {
			s.Followers = append(s.Followers, f)
		}
	}
	slices.SortFunc(s.Followers, func(a, b tree.FollowerStats) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return s
}
