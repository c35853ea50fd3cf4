package peerlink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// slots bounds how many handlers run at once: each holds one.
type slots chan struct{}

// Bounds of the handlers' goroutines. A caller whose call finds no slot waits,
// and so do those behind it on the same connection.
const (
	memberSlots   = 256
	strangerSlots = 16
)

// serveCalls answers the calls that come on a connection until it ends. Its
// reader is the goroutine that it is called on; it starts one that writes the
// answers, and one for each call that is being handled.
func (l *Link) serveCalls(c *conn) error {
	ctx, cancel := context.WithCancel(l.ctx)
	slots, idle := l.members, l.patience.calls
	if c.member == 0 {
		slots, idle = l.others, l.patience.stranger
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
		if err == errIdle && handling.Load() > 0 {
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

// handle runs the handler, and makes a frame of what it answers.
func (l *Link) handle(ctx context.Context, from uint64, r request) []byte {
	if r.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.patience)
		defer cancel()
	}
	var payload []byte
	err := errors.New("this member answers no calls")
	if l.o.Handler != nil {
		payload, err = l.o.Handler(ctx, from, r.kind, r.payload)
	}
	if err == nil && len(payload) > l.o.CallLimit {
		err = fmt.Errorf("%d bytes are too many for an answer", len(payload))
	}
	frame := append(make([]byte, 0, frameHead+answerHead+len(payload)), make([]byte, frameHead)...)
	return sealFrame(appendReply(frame, r.id, payload, err), frameAnswer)
}

// writeAnswers sends what the handlers answer, until ctx is done.
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
			c.close() // which ends the reader, and so all of it
			return
		}
	}
}

// batcher gathers frames, so that many small ones take one system call.
type batcher struct {
	c   *conn
	buf []byte
	err error
}

const batcherLimit = 64 << 10

func newBatcher(c *conn) *batcher { return &batcher{c: c} }

// add takes a frame in. It writes what it holds first if that gets too much; a
// large frame is written by itself, without a copy.
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

// flush writes what is held, and returns the first error that there was.
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
