package shard

import (
	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// The kinds of writes, which have submissions and batches of their own and get them in turn.
// With several shards, the indexes of creates in order in the root must make names that belong
// to the shard. And small writes shall not wait for all large ones that came before them, only
// for the one under way, and they go into the log while that is applied: an entry of ten megabytes
// takes a hundred times as long as a small one. Parts of large values (tree.OpStage) go one after the other, and
// nothing waits until one is applied. They take no indexes.
const (
	plain = iota
	root
	bulk    // large
	staging // parts of large values
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

// full reports whether this is too much for one submission or batch of a kind: too many commands
// or bytes, or more events than those of as many commands. Each of them may show a large value.
func full(kind, commands, size, indexes int) bool {
	bytes := batchBytesLimit
	if kind == staging {
		bytes = partsBytesLimit
	}
	return max(commands, indexes) > batchCommandsLimit || size > bytes
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

// stages says that all commands are parts of large values.
func (s *Submission) stages() bool { return s.Count > 0 && s.Indexes == 0 }

func (b *batch) stages() bool { return len(b.parts) > 0 && b.parts[0].stages() }

// Overtakes reports whether writes that come now may be sent before some that wait, here or
// at the leader if that is this member. So they are wanted before it is decided what goes next.
func (c *Core) Overtakes() bool {
	large := len(c.origin.queues[bulk]) + len(c.leader.inbox[bulk]) + len(c.origin.queues[staging]) + len(c.leader.inbox[staging])
	return large > 0 && c.origin.waiting() < batchCommandsLimit
}
