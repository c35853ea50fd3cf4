package peerlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"copse/statemachine/metric"
)

// Call asks a member, and waits for its answer until ctx is done. payload may
// be used again when Call has returned.
//
// The error is a [*CallError] if the member's handler gave one. It matches
// [ErrUnsent] if the call has not been sent, and may be tried again; a
// [Refusal] in it says why, if the member has said so. Any other error leaves
// open whether the handler has run. A member can't call itself.
func (l *Link) Call(ctx context.Context, member uint64, kind uint8, payload []byte) ([]byte, error) {
	if len(payload) > l.o.CallLimit {
		return nil, unsent(fmt.Errorf("%d bytes are too many for a call", len(payload)))
	}
	p := l.peer(member)
	for try := 1; ; try++ {
		c, err := p.calls.get(ctx, func() (*caller, error) { return l.newCaller(ctx, member) }, l.patience.again)
		if err != nil {
			return nil, unsent(err)
		}
		answer, err := c.do(ctx, kind, payload)
		if errors.Is(err, ErrUnsent) && ctx.Err() == nil && try < callTries {
			continue // the connection ended just now; a new one may do better
		}
		return answer, err
	}
}

// callTries is how many connections a call is tried on before it is unsent.
const callTries = 2

// CallAddress asks whoever listens at the peer URL, as a stranger: the handler
// is told that it comes from member 0. clientTLS is for a https URL. Each call
// has a connection of its own. Errors are those of [Link.Call].
func CallAddress(ctx context.Context, url string, clientTLS *tls.Config, kind uint8, payload []byte) ([]byte, error) {
	c, err := dialURL(ctx, url, clientTLS, hello{kind: kindCalls}, usualPatience())
	if err != nil {
		return nil, unsent(err)
	}
	defer c.close()
	defer c.closeWith(ctx)()
	c.greeted(nil, nil)
	frame := sealFrame(appendCall(beginFrame(nil), request{id: 1, patience: remaining(ctx), kind: kind, payload: payload}), frameCall)
	if _, err := c.Write(frame); err != nil {
		return nil, because(ctx, err)
	}
	_, b, err := c.next(24*time.Hour, nil, answerLimits(strangersAnswerLimit)) // ctx ends it before
	if err != nil {
		return nil, because(ctx, err)
	}
	_, r, err := decodeReply(b)
	if err != nil {
		return nil, err
	}
	return r.payload, r.err
}

// strangersAnswerLimit bounds what CallAddress takes for an answer.
const strangersAnswerLimit = 64 << 20

// because prefers ctx's error: its end closes the connection.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the connection was lost: %w", err)
}

// remaining returns how long ctx still has; 0: for ever.
func remaining(ctx context.Context) time.Duration {
	by, any := ctx.Deadline()
	if !any {
		return 0
	}
	return max(time.Until(by), time.Millisecond)
}

func answerLimits(payload int) limits {
	return func(t frameType) int {
		if t == frameAnswer {
			return answerHead + payload
		}
		return 0
	}
}

// pool holds the connection for calls to one member.
type pool struct {
	lock chan struct{} // holds a token while somebody looks or dials

	// Guarded by lock.
	current *caller
	failed  time.Time // when the last dial failed, and how
	err     error
}

func newPeer() *peer {
	return &peer{calls: pool{lock: make(chan struct{}, 1)}, appends: appends{latency: metric.NewDurations()}}
}

// get returns the connection, made by dial if there is none. For a while after
// dial has failed, get fails the same way at once: a crowd of callers would try
// one after the other.
func (p *pool) get(ctx context.Context, dial func() (*caller, error), again time.Duration) (*caller, error) {
	select {
	case p.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-p.lock }()
	switch {
	case p.current != nil && !p.current.over():
		return p.current, nil
	case p.err != nil && time.Since(p.failed) < again:
		return nil, p.err
	}
	c, err := dial()
	p.current, p.err = c, err
	if err != nil {
		p.failed = time.Now()
		if ctx.Err() != nil {
			p.err = nil // that was this caller's haste
		}
	}
	return c, err
}
