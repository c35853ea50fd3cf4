package raft

import "time"

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

// TransferAll transfers the leadership of every shard this member leads. Called before
// it stops, it saves the others an election. It returns when others lead, or at the
// limit, and must be called by one goroutine at a time.
func (h *Host) TransferAll(limit time.Duration) {
	late := time.Now().Add(limit)
	for shard := uint64(1); shard <= uint64(h.o.Shards); shard++ {
		for h.Leads(shard) && time.Now().Before(late) {
			to := h.Successor(h.Voters(shard))
			if to == 0 || h.Transfer(shard, to) != nil {
				break
			}
			h.awaitTransfer(shard)
		}
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
