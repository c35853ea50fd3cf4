package shard

import (
	"errors"
	"sync"
	"time"

	"copse/actors/loop"
	"copse/statemachine/tree"
)

// writeMailboxLimit bounds how many writes wait to be submitted. A full mailbox refuses
// writes at once rather than queueing without bound; docs/ARCHITECTURE.md has the
// arithmetic.
const writeMailboxLimit = 16384

// Why a write is turned away at once. ErrNoSpace comes from Admit.
var (
	ErrOverloaded = errors.New("etcdserver: too many requests")
	ErrNoSpace    = errors.New("etcdserver: no space: less is free on the disk than --disk-reserve keeps for the server; what removes keys still works")
)

var writes = sync.Pool{New: func() any { return &Write{reply: make(chan tree.Reply, 1)} }}

// intake is where the writes of this member's clients arrive: it turns some away, puts
// the others into the actor's mailbox, and waits for their outcomes.
type intake struct {
	timeout  time.Duration
	admit    func(bytes int) error // whether the store may grow by as much
	life     loop.Life
	mailbox  loop.Mailbox[*Write]
	values   chan struct{} // those that are on their way in parts
	measures Measures
}

func newIntake(timeout time.Duration, admit func(bytes int) error) *intake {
	i := &intake{timeout: timeout, admit: admit, life: loop.NewLife(), values: make(chan struct{}, valuesInParts), measures: newMeasures()}
	i.mailbox = loop.NewMailbox[*Write](writeMailboxLimit, i.life.Stopping())
	return i
}

// Do submits c and waits for the outcome, until about half a second after the request
// time-out at the latest. c may be reused afterwards.
func (i *intake) Do(c *tree.Command) tree.Reply { return i.do(c, time.Now().Add(i.timeout)) }

func (i *intake) do(c *tree.Command, deadline time.Time) tree.Reply {
	w := writes.Get().(*Write)
	w.Command, w.Deadline = c, deadline
	if err := i.enter(w); err != nil {
		w.Command, w.encoded = nil, nil
		writes.Put(w)
		i.measures.settled(1, 0, err)
		return failed(err)
	}
	return i.await(w)
}

// Submit submits c, and has notify called with the outcome: at once if c is turned away,
// else by the actor. notify must not wait.
func (i *intake) Submit(c *tree.Command, notify func(tree.Reply)) {
	w := writes.Get().(*Write)
	w.Command, w.Deadline, w.notify = c, time.Now().Add(i.timeout), notify
	if err := i.enter(w); err != nil {
		i.measures.settled(1, 0, err)
		w.answer(failed(err))
	}
}

// enter puts w into the mailbox, or says why not. What doesn't grow is let in though its answer will be
// kept: it may be the repetition of what was carried out before the disk was low, and has to get that
// answer. Whether it is, only the state machine knows, which must not decide by this member's disk.
// Kept answers are bounded there, in number and size.
func (i *intake) enter(w *Write) error {
	if err := i.admitted(w.Command); err != nil {
		return err
	}
	if i.life.Halting() {
		return ErrStopped
	}
	if w.notify == nil { // else others wait for this goroutine
		w.encode()
	}
	if !i.mailbox.Offer(w) {
		return ErrOverloaded
	}
	return nil
}

// admitted says why the store may not grow by what c brings; nil: it may.
func (i *intake) admitted(c *tree.Command) error {
	bytes := growth(c)
	if bytes == 0 {
		return nil
	}
	if c.Once.ID != "" { // its answer is kept
		bytes += c.Size()
	}
	return i.admit(bytes)
}

// await returns the outcome of w, which enter has put in.
func (i *intake) await(w *Write) tree.Reply {
	select {
	case r := <-w.reply:
		w.Command, w.encoded = nil, nil
		writes.Put(w)
		return r
	case <-i.life.Done():
	}
	// The loop has ended; it may have answered before it did.
	select {
	case r := <-w.reply:
		return r
	default:
		return failed(ErrStopped)
	}
}

// failed is the reply to a write that has none.
func failed(err error) tree.Reply { return tree.Reply{Err: tree.Unavailable(err)} }

func reuse[T any](s []T) []T {
	clear(s)
	return s[:0]
}
