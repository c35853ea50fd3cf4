package loop

import (
	"context"
	"errors"
)

// ErrStopped reports that the mailbox's owner has stopped and takes no more
// messages.
var ErrStopped = errors.New("actor has stopped")

// Mailbox is a bounded queue of messages of one type. Any goroutine may put a
// message in; only the owner's loop takes them out. A mailbox is never closed:
// when its owner stops, blocked senders get ErrStopped, and messages still in the
// queue are dropped.
type Mailbox[M any] struct {
	queue chan M
	stop  <-chan struct{}
}

// NewMailbox returns a mailbox that holds at most limit messages. stop is closed
// when the owner stops.
func NewMailbox[M any](limit int, stop <-chan struct{}) Mailbox[M] {
	return Mailbox[M]{queue: make(chan M, limit), stop: stop}
}

// Send puts msg in, blocking while the mailbox is full. If it fails, with ctx's
// error or ErrStopped, msg is not in the mailbox.
func (m Mailbox[M]) Send(ctx context.Context, msg M) error {
	// When several cases are ready, select picks one at random. Checking these
	// two first makes a stopped owner or a finished context fail every time.
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

// Offer puts msg in if there is room and reports whether it did. It never
// blocks.
func (m Mailbox[M]) Offer(msg M) bool {
	select {
	case m.queue <- msg:
		return true
	default:
		return false
	}
}

// Messages is the channel from which the owner's loop receives.
func (m Mailbox[M]) Messages() <-chan M { return m.queue }
