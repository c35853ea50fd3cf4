package mirror

import (
	"context"

	"copse/actors/source"
	"copse/statemachine/tree"
)

// gateLimit is how many writes of this member may be on their way through the source, and how many reads may
// wait for their turn. Further ones are refused at once. Their bodies are bounded by the front-end.
const gateLimit = 1024

// gateReads is how many reads may be under way, until the client has all of the answer: fewer than there are
// connections to the source, so that slow readers leave some to writes.
const gateReads = source.Connections - 64

// room bounds the requests that go through a gate.
type room struct {
	writes slots // of those under way
	asked  slots // of reads that wait for one of
	reads  slots
}

func newRoom() room {
	return room{writes: make(slots, gateLimit), asked: make(slots, gateLimit), reads: make(slots, gateReads)}
}

// slots is a semaphore: its capacity is the number of holders.
type slots chan struct{}

func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) free() { <-s }

// turn waits until a read may be sent.
func (r *room) turn(ctx context.Context) error {
	if !r.asked.take() {
		return errOverloaded
	}
	defer r.asked.free()
	select {
	case r.reads <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errOverloaded
	}
}

// heldRest is the rest of an answer, which holds a slot until it is closed.
type heldRest struct {
	tree.Rest
	free func()
}

func (r *heldRest) Close() {
	r.Rest.Close()
	r.free()
}
