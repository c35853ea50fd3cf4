package peerlink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// caller is one connection for calls, shared by any number of callers. It has two
// goroutines: one writes calls, as many at once as there are, the other reads answers.
type caller struct {
	l    *Link
	c    *conn
	out  chan *call
	done chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	retired bool      // it takes no more calls: it is idle, or has ended
	posted  time.Time // when the last message without an answer was sent
	err     error     // why; constant once done is closed
	last    uint64
	pending map[uint64]*call
}

// call is a call under way.
type call struct {
	frame  []byte
	state  atomic.Int32 // callQueued, then one of the others
	answer chan reply   // capacity 1; receives one answer at most
}

const (
	callQueued = iota
	callSent   // it may arrive
	callLeft   // its caller gave up before it was sent
)

// callQueue is how many calls may wait to be written. Further callers block.
const callQueue = 64

func (l *Link) newCaller(ctx context.Context, member uint64) (*caller, error) {
	c, err := l.dial(ctx, member, kindCalls)
	if err != nil {
		return nil, err
	}
	k := &caller{
		l: l, c: c, out: make(chan *call, callQueue), done: make(chan struct{}),
		pending: make(map[uint64]*call),
	}
	var wrote sync.WaitGroup
	running := l.spawn(func() {
		wrote.Go(k.write)
		err := k.read()
		k.end(err)
		wrote.Wait()
		l.drop(c)
	})
	if !running {
		l.drop(c)
		return nil, errClosed
	}
	return k, nil
}

// over reports whether the connection takes no more calls.
func (k *caller) over() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.retired || k.c.over.Load()
}

// do makes one call.
func (k *caller) do(ctx context.Context, kind uint8, payload []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, unsent(context.Cause(ctx))
	}
	one := &call{answer: make(chan reply, 1)}
	id, err := k.enter(one)
	if err != nil {
		return nil, err
	}
	defer k.leave(id)
	frame := append(make([]byte, 0, frameHead+callHead+len(payload)), make([]byte, frameHead)...)
	one.frame = sealFrame(appendCall(frame, request{id: id, timeout: remaining(ctx), kind: kind, payload: payload}), frameCall)
	select {
	case k.out <- one:
	case <-ctx.Done():
		return nil, unsent(context.Cause(ctx))
	case <-k.done:
		return nil, one.given(k.err)
	}
	select {
	case r := <-one.answer:
		return r.payload, r.err
	case <-ctx.Done():
		return nil, one.given(context.Cause(ctx))
	case <-k.done:
		select {
		case r := <-one.answer:
			return r.payload, r.err
		default:
			return nil, one.given(k.err)
		}
	}
}

// given returns the error of a call that is abandoned because of cause.
func (one *call) given(cause error) error {
	if one.state.CompareAndSwap(callQueued, callLeft) {
		return unsent(cause)
	}
	return cause
}

func (k *caller) enter(one *call) (id uint64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.retired {
		return 0, unsent(k.err)
	}
	k.last++
	k.pending[k.last] = one
	return k.last, nil
}

func (k *caller) leave(id uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pending, id)
}

// write sends calls until the connection has ended.
func (k *caller) write() {
	w := newBatcher(k.c)
	for {
		var one *call
		select {
		case one = <-k.out:
		case <-k.done:
			return
		}
		for one != nil {
			if one.state.CompareAndSwap(callQueued, callSent) {
				w.add(one.frame)
			}
			select {
			case one = <-k.out:
			default:
				one = nil
			}
		}
		if w.flush() != nil {
			k.c.close() // which ends read, and with it everything else
			return
		}
	}
}

// read delivers answers until the connection has ended, and returns why it has.
func (k *caller) read() error {
	limit := answerLimits(k.l.o.CallLimit)
	for {
		_, b, err := k.c.next(k.l.timeouts.pooled, nil, limit)
		if errors.Is(err, errIdle) && !k.retireIdle() {
			continue
		}
		if err != nil {
			return err
		}
		id, r, err := decodeReply(b)
		if err != nil {
			return err
		}
		k.mu.Lock()
		one := k.pending[id]
		delete(k.pending, id) // a second answer is ignored
		k.mu.Unlock()
		if one != nil {
			one.answer <- r
		}
	}
}

// retireIdle reports whether nobody waits for an answer; if so, it accepts no more
// calls.
func (k *caller) retireIdle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.retired = len(k.pending) == 0 && time.Since(k.posted) >= k.l.timeouts.pooled; k.retired {
		k.err = errIdle
	}
	return k.retired
}

// end tells everybody who waits that the connection has ended.
func (k *caller) end(err error) {
	k.c.close()
	if errors.Is(err, io.EOF) {
		err = errors.New("the member closed the connection")
	}
	k.mu.Lock()
	k.retired, k.err = true, fmt.Errorf("member %x: the connection was lost: %w", k.c.member, err)
	k.mu.Unlock()
	close(k.done)
}
