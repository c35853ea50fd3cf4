package actors

import (
	"log/slog"
	"time"

	"copse/actors/loop"
	"copse/statemachine"
)

// The raft log is let go after so many entries (--snapshot-count), and also
// after so many bytes: entries are batches, and may be large. compactKeep is
// the part of the entries since the last time that stays, for a replica that
// lags a little.
const (
	compactKeep  = 5 // one in five
	compactEvery = time.Second
)

// When the member stops, the log is compacted if so many bytes were applied since
// the last time: the engine walks over what it finds in the log at the next start.
// The stop waits so long for that.
const (
	compactLast     = 1 << 20
	compactLastWait = time.Second
)

// Compactor is the actor that bounds the bytes of one shard's raft log.
type Compactor struct {
	host    *Host
	shard   uint64
	machine *statemachine.Machine
	limit   uint64 // bytes
	log     *slog.Logger
	life    loop.Life
}

// NewCompactor returns the compactor of the shard, which acts on every limit
// bytes of entries.
func NewCompactor(host *Host, shard uint64, m *statemachine.Machine, limit uint64, log *slog.Logger) *Compactor {
	return &Compactor{host: host, shard: shard, machine: m, limit: limit, log: log, life: loop.NewLife()}
}

// Run is the actor's loop.
func (c *Compactor) Run() error {
	if !c.life.Begin() {
		return nil
	}
	defer c.life.End()
	ticker := time.NewTicker(compactEvery)
	defer ticker.Stop()
	var bytes, index uint64 // applied when the log was compacted last
	for {
		select {
		case <-ticker.C:
		case <-c.life.Stopping():
			if c.machine.AppliedBytes()-bytes >= compactLast {
				c.finish()
			}
			return nil
		}
		bytesNow, indexNow := c.machine.AppliedBytes(), c.machine.RaftIndex()
		if bytesNow-bytes < c.limit {
			continue
		}
		if err := c.host.Compact(c.shard, (indexNow-index)/compactKeep); err != nil {
			c.log.Warn("compacting the raft log failed; trying again", "shard", c.shard, "err", err)
			continue
		}
		bytes, index = bytesNow, indexNow
	}
}

// finish compacts the log and waits a while for it; without that the next
// start takes longer, and that is all.
func (c *Compactor) finish() {
	p, err := c.host.compact(c.shard, c.host.o.SnapshotCount/compactKeep)
	if err != nil {
		return
	}
	late := time.NewTimer(compactLastWait)
	defer late.Stop()
	select {
	case <-p.settled():
	case <-late.C:
	}
}

// Stop ends the loop and waits for it.
func (c *Compactor) Stop() { c.life.Halt() }
