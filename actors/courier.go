package actors

import (
	"context"
	"errors"
	"sync"
	"time"

	"copse/actors/disk"
	"copse/actors/peerlink"
	"copse/actors/raft"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// couriers is how many batches of one shard may be on their way to its leader.
const couriers = 4

// carried is how many bytes of writes one batch carries at most, but for its last
// write: the peer link bounds a call.
const carried = 512 << 10

// Courier is the actor that takes a shard's writes from the member they came in at to
// the one that leads it, in batches over the peer link, and answers them when
// this member's own replica has applied what they did: a client reads its own
// writes. It never asks twice: whoever gave it a write may, if the answer is
// notLeading.
//
// It is a mailbox and a few goroutines that take batches out of it, for each waits
// for its answer.
type Courier struct {
	*door
	id      uint64
	host    *raft.Host
	link    *peerlink.Link
	machine *statemachine.Machine
}

// NewCourier returns the courier of the data shard id.
func NewCourier(id uint64, host *raft.Host, link *peerlink.Link, m *statemachine.Machine, timeout time.Duration, disk *disk.Watch) *Courier {
	return &Courier{door: newDoor(timeout, disk), id: id, host: host, link: link, machine: m}
}

// Run is the actor's loop.
func (c *Courier) Run() error {
	if !c.life.Begin() {
		return nil
	}
	defer c.life.End()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range couriers {
		all.Go(func() { c.deliver(ctx) })
	}
	<-c.life.Stopping()
	cancel()
	all.Wait()
	for {
		select {
		case w := <-c.mailbox.Messages():
			w.reply <- c.refused(raft.ErrStopped)
		default:
			return nil
		}
	}
}

func (c *Courier) deliver(ctx context.Context) {
	for {
		select {
		case w := <-c.mailbox.Messages():
			c.carry(ctx, c.gather(w))
		case <-ctx.Done():
			return
		}
	}
}

// gather takes w and what else waits.
func (c *Courier) gather(w *write) (batch []*write) {
	for size := 0; ; {
		if time.Now().After(w.deadline) {
			w.reply <- c.refused(raft.ErrTimeout)
		} else {
			batch = append(batch, w)
			size += w.cmd.Size()
		}
		if len(batch) == batchCommandsLimit || size >= carried {
			return batch
		}
		select {
		case w = <-c.mailbox.Messages():
		default:
			return batch
		}
	}
}

// carry takes one batch to the leader and answers its writers.
func (c *Courier) carry(ctx context.Context, batch []*write) {
	if len(batch) == 0 {
		return
	}
	leader := c.host.Leader(c.id).Member
	if leader == 0 || leader == c.host.Self() {
		answerAll(batch, notLeading)
		return
	}
	latest := batch[0].deadline
	for _, w := range batch {
		if w.deadline.After(latest) {
			latest = w.deadline
		}
	}
	ctx, cancel := context.WithDeadline(ctx, latest.Add(raft.Lateness))
	defer cancel()
	answer, err := c.link.Call(ctx, leader, callWrite, appendWrites(nil, c.id, batch))
	if err != nil {
		answerAll(batch, callFailed(err))
		return
	}
	replies, raftIndex, err := readReplies(answer, len(batch))
	if err == nil {
		err = c.machine.WaitApplied(ctx, raftIndex)
	}
	if err != nil {
		answerAll(batch, failed(raft.ErrTimeout)) // they may have been applied
		return
	}
	term := c.host.HighestTerm()
	for i, w := range batch {
		r := replies[i]
		if r.Err != notLeading.Err {
			r.State.RaftTerm = term
		}
		w.reply <- r
	}
}

// callFailed is the answer where the call has none.
func callFailed(err error) tree.Reply {
	switch {
	case errors.Is(err, peerlink.ErrUnsent):
		return notLeading
	case errors.Is(err, context.DeadlineExceeded):
		return failed(raft.ErrTimeout)
	default:
		return failed(errLeaderLost)
	}
}

func answerAll(batch []*write, r tree.Reply) {
	for _, w := range batch {
		w.reply <- r
	}
}

// answerWrites serves callWrite, on the member that leads the shard: it puts the
// writes into the shard's mailbox, and answers when all of them have been.
func (n *Member) answerWrites(payload []byte) ([]byte, error) {
	shard, left, commands, err := readWrites(payload)
	if err != nil {
		return nil, err
	}
	var p *part
	if n.opened.Load() {
		p = n.part(shard)
	}
	var answer []byte
	if p == nil { // it is starting, or holds other shards
		for range commands {
			answer = appendReply(answer, &notLeading)
		}
		return answer, nil
	}
	ws := make([]*write, len(commands))
	refused := make([]tree.Reply, len(commands))
	for i := range commands {
		w, err := p.ordered.enter(&commands[i], time.Now().Add(left[i]))
		switch {
		case errors.Is(err, raft.ErrStopped):
			refused[i] = notLeading
		case err != nil:
			refused[i] = p.ordered.refused(err)
		}
		ws[i] = w
	}
	for i, w := range ws {
		r := refused[i]
		if w != nil {
			r = p.ordered.await(w)
		}
		if len(answer)+len(r.JSON) > carriedLimit-carriedSlack {
			r = failed(raft.ErrTimeout) // it was applied, but nobody can be told of values as large as these
		}
		answer = appendReply(answer, &r)
	}
	return answer, nil
}
