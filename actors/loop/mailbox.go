package loop

import (
	"context"
	"errors"
)

// ErrStopped says that the actor behind a mailbox takes no more messages.
var ErrStopped = errors.New("actor has stopped")

// Mailbox is a bounded queue of messages of one concrete type. Any goroutine
// may put a message in, only the owner's loop takes them out. It is never
// closed; when the owner stops, waiting senders are told, and what still lies
// in the queue is dropped with it.
type Mailbox[M any] struct {
	queue chan M
	stop  <-chan struct{}
}

// NewMailbox returns a mailbox for at most limit messages. stop is closed when
// the owner stops.
func NewMailbox[M any](limit int, stop <-chan struct{}) Mailbox[M] {
	return Mailbox[M]{queue: make(chan M, limit), stop: stop}
}

// Send waits until there is room. It fails with ctx's error or ErrStopped,
// and msg is then not in the mailbox.
func (m Mailbox[M]) Send(ctx context.Context, msg M) error {
	// Of several open ways select takes any: look at the ends first, so that
	// a stopped owner and a spent context are refused reliably.
	select {
	case <-m.stop:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	select {
	case m.queue <- msg:
		return nil
	case <-m.stop:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Offer puts msg in if there is room now, and reports whether it did.
func (m Mailbox[M]) Offer(msg M) bool {
	select {
	case m.queue <- msg:
		return true
	default:
		return false
	}
}

// Messages is where the owner's loop takes messages out.
func (m Mailbox[M]) Messages() <-chan M { return m.queue }
