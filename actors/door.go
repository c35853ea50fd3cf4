package actors

import (
	"errors"
	"sync"
	"time"

	"copse/actors/disk"
	"copse/actors/loop"
	"copse/actors/raft"
	"copse/statemachine/tree"
)

// writeMailboxLimit is how many writes wait to be proposed. A full mailbox refuses
// writes at once rather than queueing without bound; docs/ARCHITECTURE.md has the
// arithmetic.
const writeMailboxLimit = 16384

// write is one command on its way through a shard.
type write struct {
	cmd      *tree.Command
	deadline time.Time       // the writer is answered by then
	reply    chan tree.Reply // capacity 1; sent to once
}

var writes = sync.Pool{New: func() any { return &write{reply: make(chan tree.Reply, 1)} }}

// door is where writes come in to an actor: it turns away what can't be taken, puts
// the others into the mailbox, and waits for their outcomes.
type door struct {
	timeout  time.Duration
	disk     *disk.Watch // nil: there is always room
	life     loop.Life
	mailbox  loop.Mailbox[*write]
	measures writeMeasures
}

func newDoor(timeout time.Duration, disk *disk.Watch) *door {
	d := &door{timeout: timeout, disk: disk, life: loop.NewLife(), measures: newWriteMeasures()}
	d.mailbox = loop.NewMailbox[*write](writeMailboxLimit, d.life.Stopping())
	return d
}

// Do proposes c and waits for the outcome. It always answers, about half a
// second after the request time-out at the latest. c may be reused afterwards.
func (d *door) Do(c *tree.Command) tree.Reply { return d.do(c, time.Now().Add(d.timeout)) }

// do is Do with a deadline of its own.
func (d *door) do(c *tree.Command, deadline time.Time) tree.Reply {
	w, refused := d.enter(c, deadline)
	if refused != nil {
		return d.refused(refused)
	}
	return d.await(w)
}

// enter puts c, whose writer is answered by the deadline, into the mailbox, or says
// why not.
func (d *door) enter(c *tree.Command, deadline time.Time) (*write, error) {
	if c.Op.Grows() && !d.disk.Admit(c.Size()) {
		return nil, disk.ErrNoSpace
	}
	if d.life.Halting() {
		return nil, raft.ErrStopped
	}
	w := writes.Get().(*write)
	w.cmd, w.deadline = c, deadline
	if !d.mailbox.Offer(w) {
		writes.Put(w)
		return nil, errOverloaded
	}
	return w, nil
}

// await returns the outcome of w, which enter has put in.
func (d *door) await(w *write) tree.Reply {
	select {
	case r := <-w.reply:
		w.cmd = nil
		writes.Put(w)
		return r
	case <-d.life.Done():
	}
	// The loop has ended; it may have answered before it did.
	select {
	case r := <-w.reply:
		return r
	default:
		return failed(raft.ErrStopped)
	}
}

var (
	errOverloaded = errors.New("etcdserver: too many requests")
	errLeaderLost = errors.New("etcdserver: request timed out, possibly due to previous leader failure")
)

// failed is v2's answer where raft has none: the outcome is unknown, or the
// write was refused.
func failed(err error) tree.Reply {
	return tree.Reply{Err: raftError(err)}
}

// refused is the answer to a write that is turned away at the door.
func (d *door) refused(err error) tree.Reply {
	d.measures.outcomes[outcomeOf(err)].Add(1)
	return failed(err)
}

// pending is how many writes are waiting or under way.
func (d *door) pending() uint64 {
	return uint64(max(0, d.measures.pending.Load())) + uint64(len(d.mailbox.Messages()))
}

// Stop ends the loop and waits for it.
func (d *door) Stop() { d.life.Halt() }
