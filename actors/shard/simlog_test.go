package shard

import (
	"encoding/binary"
	"slices"

	"copse/statemachine"
	"copse/statemachine/tree"
)

// simLog is the log of a data shard in a simulated world: the entries that raft has
// agreed on, with their outcomes under rule 4 of docs/SHARDS.md. The replicas of all
// members report the same, each at its own pace. The field Now numbers the commands.
type simLog struct {
	sharded bool
	slot    int
	entries []simEntry
	applied map[int64]int // how often each command was applied

	stale      int // batches
	violations []string
}

// simSlots is the number of shards in a sharded world.
const simSlots = 3

// simEntry is one entry, and the state after it.
type simEntry struct {
	cmd      []byte
	batch    statemachine.BatchID
	outcomes []statemachine.Outcome // of all members' submissions
	epoch    uint64
	settled  tree.Index
}

func (l *simLog) end() simEntry {
	if len(l.entries) == 0 {
		return simEntry{}
	}
	return l.entries[len(l.entries)-1]
}

func (l *simLog) complain(what string) { l.violations = append(l.violations, what) }

// append applies one more entry by rules 4 and 5.
func (l *simLog) append(cmd []byte) {
	e := l.end()
	e.cmd, e.outcomes = cmd, nil
	b, err := tree.ReadBatch(cmd)
	if err != nil {
		l.complain(err.Error())
		return
	}
	e.batch = statemachine.BatchID{Epoch: b.Epoch, Number: b.Number}
	stale := b.Epoch < e.epoch || b.Ordered && b.Range.First <= e.settled
	if stale {
		l.stale++
	}
	e.epoch = max(e.epoch, b.Epoch)
	running := e.settled
	if b.Ordered && !stale {
		running = b.Range.First - 1
	}
	commands := 0
	for {
		more, err := b.NextSubmission()
		if err != nil {
			l.complain(err.Error())
			return
		}
		if !more {
			break
		}
		out := statemachine.Outcome{ID: b.Submission, Stale: stale}
		for b.Len() > 0 {
			var c tree.Command
			if _, err := b.Next(&c); err != nil {
				l.complain(err.Error())
				return
			}
			commands++
			switch {
			case stale:
			case c.Op == tree.OpClose:
				running = max(running, c.PrevIndex)
			default:
				running = l.apply(b, &c, running)
				out.Data = appendSimReply(out.Data, uint64(c.Now))
			}
		}
		e.outcomes = append(e.outcomes, out)
	}
	if commands > batchCommandsLimit || commands > 1 && len(cmd) > batchBytesLimit+64*(b.Submissions+1) {
		l.complain("a batch is too large")
	}
	if !stale {
		e.settled = max(e.settled, running)
		if b.Ordered {
			e.settled = b.Range.Last
		}
	}
	l.entries = append(l.entries, e)
}

// simReply is the size of a simulated reply in bytes: a reply without an event, whose
// index is the number of its command.
const simReply = 16

func appendSimReply(dst []byte, number uint64) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, 0xff, 0, 0, 0), number)
	return append(dst, 0, 0, 0, 0)
}

// cutSimReply cuts off the first reply and returns the number of its command.
func cutSimReply(data []byte) (number uint64, rest []byte) {
	r, rest, _ := statemachine.CutReply(data)
	return uint64(r.State.Index), rest
}

// apply applies one command after the index running, and returns the new one.
func (l *simLog) apply(b *tree.BatchReader, c *tree.Command, running tree.Index) tree.Index {
	l.applied[c.Now]++
	if c.Op == tree.OpStage {
		if b.Ordered || !b.Staged {
			l.complain("a part of a value in a batch of another kind")
		}
		return running
	}
	if l.sharded && !b.Ordered {
		l.complain("a write in a batch without a range")
	}
	if l.sharded && b.Root != c.InRoot() {
		l.complain("a write in a batch of the other kind")
	}
	next := running + tree.Index(c.Indexes())
	if b.Root {
		next = tree.NextNamed(running+1, l.slot, simSlots)
	}
	if b.Ordered && next > b.Range.Last {
		l.complain("a range is too short for its batch")
	}
	return next
}

// news returns what a member's replica reports for the given entries.
func (l *simLog) news(member uint64, from, to int) *statemachine.ApplyResult {
	n := &statemachine.ApplyResult{Last: l.entries[to-1].settled, Epoch: l.entries[to-1].epoch}
	for _, e := range l.entries[from:to] {
		if e.batch.Epoch != 0 {
			n.Batches = append(n.Batches, e.batch)
		}
		for _, o := range e.outcomes {
			if o.ID.Replica == member {
				n.Outcomes = append(n.Outcomes, o)
			}
		}
	}
	return n
}

// at returns the state of a replica that has applied n entries.
func (l *simLog) at(n int) simEntry {
	if n == 0 {
		return simEntry{}
	}
	return l.entries[n-1]
}

// simOrder is the log of the order shard, under rules 1 to 3.
type simOrder struct {
	entries []simGrant
}

type simGrant struct {
	grant   tree.Grant
	counter tree.Index
	handed  []tree.Index
}

func (o *simOrder) at(n int) simGrant {
	if n == 0 {
		return simGrant{handed: make([]tree.Index, simSlots)}
	}
	return o.entries[n-1]
}

func (o *simOrder) append(a tree.Ask) {
	e := o.at(len(o.entries))
	r, ok := a.Grant(e.counter, simSlots)
	if !ok {
		return
	}
	e.grant = tree.Grant{ID: a.ID, Slot: a.Slot, Range: r}
	e.counter, e.handed = r.Last, slices.Clone(e.handed)
	e.handed[a.Slot] = r.Last
	o.entries = append(o.entries, e)
}

func (o *simOrder) news(from, to int) *statemachine.ApplyResult {
	n := &statemachine.ApplyResult{Last: o.at(to).counter, Handed: o.at(to).handed}
	for _, e := range o.entries[from:to] {
		n.Grants = append(n.Grants, e.grant)
	}
	return n
}
