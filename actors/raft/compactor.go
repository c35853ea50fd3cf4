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

// Compactor is the actor that bounds the size of one shard's raft log: it has the log
// compacted after a number of entries (--snapshot-count), and after a number of bytes,
// since an entry is a batch of writes and may be large. It leaves neither to dragonboat:
// the log may only go as far as the store is durable, and no entry is applied while
// dragonboat has the store made durable. So the Compactor has most of that done before.
type Compactor struct {
	log     compactable
	shard   uint64
	machine applied
	bytes   uint64 // applied between two compactions, at most
	entries uint64 // likewise
	logger  *slog.Logger
	life    loop.Life
}

// compactable has what a Compactor needs of a Host.
type compactable interface {
	Compact(shard, overhead uint64) error
	compact(shard, overhead uint64) (Request, error)
}

// applied has what a Compactor needs of a shard's machine.
type applied interface {
	AppliedBytes() uint64 // of all entries so far
	RaftIndex() uint64
	Flush(stop <-chan struct{}) error
}

// NewCompactor returns the compactor of the shard, whose log is compacted whenever so many
// bytes of entries, or SnapshotCount entries, have been applied to m.
func NewCompactor(host *Host, shard uint64, m applied, bytes uint64, logger *slog.Logger) *Compactor {
	return newCompactor(host, shard, m, bytes, host.o.SnapshotCount, logger)
}

func newCompactor(log compactable, shard uint64, m applied, bytes, entries uint64, logger *slog.Logger) *Compactor {
	return &Compactor{log: log, shard: shard, machine: m, bytes: bytes, entries: entries, logger: logger, life: loop.NewLife()}
}

// Run is the actor's loop.
func (c *Compactor) Run() error {
	if !c.life.Begin() {
		return nil
	}
	defer c.life.End()
	ticker := time.NewTicker(compactEvery)
	defer ticker.Stop()
	var bytes, index uint64 // applied when the log was last compacted; at the start unknown
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
		if bytesNow-bytes < c.bytes && indexNow-index < c.entries {
			continue
		}
		err := c.machine.Flush(c.life.Stopping())
		if err == nil {
			err = c.log.Compact(c.shard, min(indexNow-index, c.entries)/compactKeep)
		}
		if err != nil {
			c.logger.Warn("compacting the raft log failed; trying again", "shard", c.shard, "err", err)
			continue
		}
		bytes, index = bytesNow, indexNow
	}
}

// finish compacts the log and waits a while for it. If it fails, the next start takes
// longer, nothing worse.
func (c *Compactor) finish() {
	r, err := c.log.compact(c.shard, c.entries/compactKeep)
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
