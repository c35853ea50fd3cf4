package peerlink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// slots bounds how many handlers run at once: each of them holds a slot.
type slots chan struct{}

// Bounds of the handlers' goroutines. A call that finds no free slot waits, and so do
// the calls after it on the same connection.
const (
	memberSlots   = 256
	strangerSlots = 16
)

// serveCalls answers the calls on a connection until it ends. It reads on the goroutine
// it is called on; it starts one that writes the answers, and one for each call that
// is being handled.
func (l *Link) serveCalls(c *conn) error {
	ctx, cancel := context.WithCancel(l.ctx)
	slots, idle := l.members, l.timeouts.calls
	if c.member == 0 {
		slots, idle = l.strangers, l.timeouts.stranger
	}
	answers := make(chan []byte, callQueue)
	var handling atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer c.close()
	defer cancel()
	wg.Go(func() { writeAnswers(ctx, c, answers) })
	limit := func(t frameType) int {
		if t == frameCall {
			return callHead + l.o.CallLimit
		}
		return 0
	}
	for {
		_, b, err := c.next(idle, nil, limit)
		if errors.Is(err, errIdle) && handling.Load() > 0 {
			continue
		} else if err != nil {
			return err
		}
		r, err := decodeCall(b)
		if err != nil {
			return err
		}
		if r.id == 0 { // nobody waits for an answer
			if l.o.Receive == nil || c.member == 0 {
				return fmt.Errorf("%w call: a message that is not for this member", errMalformed)
			}
			l.o.Receive(c.member, r.kind, r.payload)
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		handling.Add(1)
		wg.Go(func() {
			defer handling.Add(-1)
			defer func() { <-slots }()
			frame := l.handle(ctx, c.member, r)
			select {
			case answers <- frame:
			case <-ctx.Done():
			}
		})
	}
}

// handle runs the handler and returns a frame with its answer.
func (l *Link) handle(ctx context.Context, from uint64, r request) []byte {
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	var payload []byte
	err := errors.New("this member doesn't answer calls")
	if l.o.Handler != nil {
		payload, err = l.o.Handler(ctx, from, r.kind, r.payload)
	}
	if err == nil && len(payload) > l.o.CallLimit {
		err = fmt.Errorf("an answer of %d bytes is too large", len(payload))
	}
	frame := append(make([]byte, 0, frameHead+answerHead+len(payload)), make([]byte, frameHead)...)
	return sealFrame(appendReply(frame, r.id, payload, err), frameAnswer)
}

// writeAnswers sends the handlers' answers until ctx is done.
func writeAnswers(ctx context.Context, c *conn, answers <-chan []byte) {
	w := newBatcher(c)
	for {
		select {
		case frame := <-answers:
			w.add(frame)
		case <-ctx.Done():
			return
		}
		for more := true; more; {
			select {
			case frame := <-answers:
				w.add(frame)
			default:
				more = false
			}
		}
		if w.flush() != nil {
			c.close() // which ends the reader, and with it everything else
			return
		}
	}
}

// batcher collects frames, so that many small ones take one system call.
type batcher struct {
	c   *conn
	buf []byte
	err error
}

const batcherLimit = 64 << 10

func newBatcher(c *conn) *batcher { return &batcher{c: c} }

// add adds a frame. If that would be too much, it first writes what it holds; a large
// frame is written by itself, without a copy.
func (b *batcher) add(frame []byte) {
	if len(b.buf)+len(frame) > batcherLimit {
		b.write(b.buf)
		b.buf = b.buf[:0]
	}
	if len(frame) > batcherLimit/4 && len(b.buf) == 0 {
		b.write(frame)
		return
	}
	b.buf = append(b.buf, frame...)
}

// flush writes what is held, and returns the first error of any write so far.
func (b *batcher) flush() error {
	b.write(b.buf)
	b.buf = b.buf[:0]
	return b.err
}

func (b *batcher) write(p []byte) {
	if b.err == nil && len(p) > 0 {
		_, b.err = b.c.Write(p)
	}
}
