package raft

import (
	"context"
	"time"
)

// transferPause is how long a successor has to take over before it, or another, is
// asked again: dragonboat doesn't report a transfer that came to nothing.
const transferPause = 500 * time.Millisecond

// Transfer asks the shard's leader, this member or another, to let member lead. It
// doesn't wait for that, and it may come to nothing.
func (h *Host) Transfer(shard, member uint64) error {
	return h.nh.RequestLeaderTransfer(shard, member)
}

// Successor is the voter other than this member that was heard from last; 0 if none
// was heard from lately.
func (h *Host) Successor(voters map[uint64]bool) uint64 {
	var member uint64
	latest := time.Now().Add(-2 * h.o.Election)
	for id := range voters {
		if heard := h.o.Link.LastHeard(id); id != h.o.Replica && heard.After(latest) {
			member, latest = id, heard
		}
	}
	return member
}

// TransferTo transfers the leadership of the shard, if this member has it, to the one
// that to names, which may be another each time. It returns when another leads, when
// there is none to name (0), or when ctx is done. One goroutine at a time may call it.
func (h *Host) TransferTo(ctx context.Context, shard uint64, to func() uint64) {
	for h.Leads(shard) && ctx.Err() == nil {
		member := to()
		if member == 0 || h.Transfer(shard, member) != nil {
			return
		}
		h.awaitTransfer(shard)
	}
}

// awaitTransfer waits until this member no longer leads the shard, but at most for
// transferPause.
func (h *Host) awaitTransfer(shard uint64) {
	again := time.NewTimer(transferPause)
	defer again.Stop()
	for h.Leads(shard) {
		select {
		case <-h.shards[shard].left: // it may have rung for an earlier change
		case <-again.C:
			return
		}
	}
}
