package shard

import (
	"time"

	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// The kinds of writes, which have submissions and batches of their own and get them in turn.
// With several shards, the indexes of creates in order in the root must make names that belong
// to the shard. And small writes shall not wait for all large ones that came before them, only
// for the one under way, and they go into the log while that is applied: an entry of ten megabytes
// takes a hundred times as long as a small one.
const (
	plain = iota
	root
	bulk // large
	kinds
)

// largeWrite is the size from which on a write, or a submission of one, is large.
const largeWrite = 64 << 10

// growth is about how many bytes a command may make the store larger by; 0: not at all.
func growth(c *tree.Command) int {
	if c.Op != tree.OpTxn {
		if c.Op.Grows() {
			return c.Size()
		}
		return 0
	}
	t, err := txn.Read(c)
	if err != nil || !t.Grows() {
		return 0
	}
	return c.Size() + t.CopiesAtMost()
}

// next returns the first kind from turn on of which something waits that may be sent while so
// many bytes are under way, if there is one. Small writes needn't wait until a large one is applied,
// and large ones must, of whatever kind. large is about what goes first.
func next(turn, underWay int, waiting func(kind int) (some, large bool)) (kind int, ok bool) {
	for i := range kinds {
		kind := (turn + i) % kinds
		if some, large := waiting(kind); some && (!large || underWay < inflightBytesLimit) {
			return kind, true
		}
	}
	return turn, false
}

// large says that the commands are, on average.
func (s *Submission) large() bool { return len(s.Commands) >= s.Count*largeWrite }

// bytesUnderWay is the size of those that underWay counts.
func (l *leader) bytesUnderWay(now time.Time) (bytes int) {
	for _, b := range l.batches {
		if l.counts(now, b) {
			bytes += len(b.cmd)
		}
	}
	return bytes
}

// Overtakes reports whether writes that come now may be sent before some that wait, here or
// at the leader if that is this member. So they are wanted before it is decided what goes next.
func (c *Core) Overtakes() bool {
	return len(c.origin.queues[bulk])+len(c.leader.inbox[bulk]) > 0 && c.origin.waiting() < batchCommandsLimit
}
