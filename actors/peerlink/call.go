package peerlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"copse/statemachine/metric"
)

// Call makes a call to a member and waits for the answer until ctx is done. payload may
// be reused once Call has returned.
//
// The error is a [*CallError] if the member's handler returned one. It matches
// [ErrUnsent] if the call was not sent and may be tried again; if the member refused the
// connection, a [Refusal] in it says why. After any other error the handler may or may
// not have run. A member can't call itself.
func (l *Link) Call(ctx context.Context, member uint64, kind uint8, payload []byte) ([]byte, error) {
	if len(payload) > l.o.CallLimit {
		return nil, unsent(fmt.Errorf("a call of %d bytes is too large", len(payload)))
	}
	p := l.peer(member)
	for try := 1; ; try++ {
		c, err := p.calls.get(ctx, func() (*caller, error) { return l.newCaller(ctx, member) }, l.timeouts.again)
		if err != nil {
			return nil, unsent(err)
		}
		answer, err := c.do(ctx, kind, payload)
		if errors.Is(err, ErrUnsent) && ctx.Err() == nil && try < callTries {
			continue // the connection has just ended; try a new one
		}
		return answer, err
	}
}

// callTries is how many connections a call is tried on.
const callTries = 2

// CallAddress makes a call, as a stranger, to whoever listens at the peer URL: to the
// handler it comes from member 0. clientTLS is used for an https URL. Each call has a
// connection of its own. Errors are those of [Link.Call].
func CallAddress(ctx context.Context, url string, clientTLS *tls.Config, kind uint8, payload []byte) ([]byte, error) {
	c, err := dialURL(ctx, url, clientTLS, hello{kind: kindCalls}, usualTimeouts())
	if err != nil {
		return nil, unsent(err)
	}
	defer c.close()
	defer c.closeWith(ctx)()
	c.greeted(nil, nil)
	frame := sealFrame(appendCall(beginFrame(nil), request{id: 1, timeout: remaining(ctx), kind: kind, payload: payload}), frameCall)
	if _, err := c.Write(frame); err != nil {
		return nil, because(ctx, err)
	}
	_, b, err := c.next(24*time.Hour, nil, answerLimits(strangersAnswerLimit)) // ctx ends it earlier
	if err != nil {
		return nil, because(ctx, err)
	}
	_, r, err := decodeReply(b)
	if err != nil {
		return nil, err
	}
	return r.payload, r.err
}

// strangersAnswerLimit is the largest answer that CallAddress accepts, in bytes.
const strangersAnswerLimit = 64 << 20

// because returns ctx's error if there is one: ctx's end closes the connection.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the connection was lost: %w", err)
}

// remaining returns the time until ctx's deadline; 0 if it has none.
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

// pool has the connection for calls to one member.
type pool struct {
	lock chan struct{} // has a token while somebody uses the fields below or dials

	// Guarded by lock.
	current *caller
	failed  time.Time // when the last dial failed, with err
	err     error
}

func newPeer() *peer {
	return &peer{calls: pool{lock: make(chan struct{}, 1)}, appends: appends{latency: metric.NewDurations()}}
}

// get returns the connection, and calls dial if there is none. For a while after dial
// has failed, get fails with the same error at once; otherwise many callers would try
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
			p.err = nil // only because this caller gave up
		}
	}
	return c, err
}
