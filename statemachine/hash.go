package statemachine

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// nextHash returns the hash of all raft entries up to the one at index, whose command is
// cmd, from the hash of all before it. It depends on nothing but the log, so replicas that
// have applied the same entries have the same hash, and others almost certainly don't.
func nextHash(before, index uint64, cmd []byte) uint64 {
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], before)
	binary.BigEndian.PutUint64(head[8:], index)
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(head[:]) // a hash never fails
	_, _ = d.Write(cmd)
	return d.Sum64()
}

// hashesKept is how many raft indexes back the hashes are remembered, so that replicas can
// be compared at an index that both have applied.
const hashesKept = 4096

// hashes holds the hash after each of the latest raft entries, in the slot of its index.
// The apply worker writes it, and any goroutine may read it; neither waits for the other.
type hashes [hashesKept]struct {
	index atomic.Uint64 // 0 while the slot is empty or being written
	hash  atomic.Uint64
}

func (h *hashes) put(index, hash uint64) {
	s := &h[index%hashesKept]
	s.index.Store(0)
	s.hash.Store(hash)
	s.index.Store(index)
}

// restart forgets everything but one hash.
func (h *hashes) restart(index, hash uint64) {
	for i := range h {
		h[i].index.Store(0)
	}
	h.put(index, hash)
}

// HashAt returns the hash of all raft entries up to the one at index, if this replica has
// applied that one lately: entries without a command for the state machine have none. It
// may be called from any goroutine.
func (m *Machine) HashAt(index uint64) (hash uint64, known bool) {
	s := &m.published.hashes[index%hashesKept]
	if index == 0 || s.index.Load() != index {
		return 0, false
	}
	hash = s.hash.Load()
	return hash, s.index.Load() == index
}
