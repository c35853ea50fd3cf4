package raft

import (
	"log/slog"
	"time"

	"copse/actors/loop"
)

// compactEvery is how often a Compactor looks at what was applied.
const compactEvery = time.Second

// When the member stops, the log is compacted if at least finalBytes were applied
// since the last time, since dragonboat reads what it finds in the log at the next
// start. The stop waits for that at most for finalWait.
const (
	finalBytes = 1 << 20
	finalWait  = time.Second
)

// Compactor is the actor that bounds the size of one shard's raft log. dragonboat
// compacts it after a number of entries (--snapshot-count); an entry is a batch of
// writes and may be large, so this does it after a number of bytes too.
type Compactor struct {
	log      compactable
	shard    uint64
	machine  applied
	limit    uint64 // bytes
	overhead uint64 // entries that stay after the last compaction
	logger   *slog.Logger
	life     loop.Life
}

// compactable is what a Compactor needs of a Host.
type compactable interface {
	Compact(shard, overhead uint64) error
	compact(shard, overhead uint64) (Request, error)
}

// applied is what a Compactor needs of a shard's machine.
type applied interface {
	AppliedBytes() uint64 // of all entries so far
	RaftIndex() uint64
}

// NewCompactor returns the compactor of the shard, whose log is compacted whenever limit
// bytes of entries have been applied to m.
func NewCompactor(host *Host, shard uint64, m applied, limit uint64, logger *slog.Logger) *Compactor {
	return newCompactor(host, shard, m, limit, host.o.SnapshotCount/compactKeep, logger)
}

func newCompactor(log compactable, shard uint64, m applied, limit, overhead uint64, logger *slog.Logger) *Compactor {
	return &Compactor{log: log, shard: shard, machine: m, limit: limit, overhead: overhead, logger: logger, life: loop.NewLife()}
}

// Run is the actor's loop.
func (c *Compactor) Run() error {
	if !c.life.Begin() {
		return nil
	}
	defer c.life.End()
	ticker := time.NewTicker(compactEvery)
	defer ticker.Stop()
	var bytes, index uint64 // applied when the log was last compacted
	for {
		select {
		case <-ticker.C:
		case <-c.life.Stopping():
			if c.machine.AppliedBytes()-bytes >= finalBytes {
				c.finish()
			}
			return nil
		}
		bytesNow, indexNow := c.machine.AppliedBytes(), c.machine.RaftIndex()
		if bytesNow-bytes < c.limit {
			continue
		}
		if err := c.log.Compact(c.shard, (indexNow-index)/compactKeep); err != nil {
			c.logger.Warn("compacting the raft log failed; trying again", "shard", c.shard, "err", err)
			continue
		}
		bytes, index = bytesNow, indexNow
	}
}

// finish compacts the log and waits a while for it. If it fails, the next start takes
// longer, nothing worse.
func (c *Compactor) finish() {
	r, err := c.log.compact(c.shard, c.overhead)
	if err != nil {
		return
	}
	late := time.NewTimer(finalWait)
	defer late.Stop()
	select {
	case <-r.result():
	case <-late.C:
	}
}

// Stop ends the loop and waits for it.
func (c *Compactor) Stop() { c.life.Halt() }
