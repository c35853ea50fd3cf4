package peerlink

import (
	"sync"
	"time"
)

// Bounds of the messages that wait for a connection to one member.
const (
	postsLimit      = 256
	postsBytesLimit = 128 << 20
)

// posts are the messages to one member that wait for a connection.
type posts struct {
	mu      sync.Mutex
	frames  [][]byte
	bytes   int
	sending bool // a goroutine is at it
}

// Post sends a message to a member, one way, and never waits; payload may be used again
// at once. Messages arrive in the order in which they were posted, or not at all, but
// for one that was still under way on a connection that was lost: it may come late. If
// Post reports false the message provably isn't sent; otherwise nobody tells what
// becomes of it.
func (l *Link) Post(member uint64, kind uint8, payload []byte) bool {
	if len(payload) > l.o.CallLimit {
		return false
	}
	frame := append(make([]byte, 0, frameHead+callHead+len(payload)), make([]byte, frameHead)...)
	frame = sealFrame(appendCall(frame, request{kind: kind, payload: payload}), frameCall)
	p := l.peer(member)
	p.posts.mu.Lock()
	defer p.posts.mu.Unlock()
	if len(p.posts.frames) >= postsLimit || p.posts.bytes+len(frame) > postsBytesLimit {
		return false
	}
	if !p.posts.sending && !l.spawn(func() { l.sendPosts(member, p) }) {
		return false
	}
	p.posts.sending = true
	p.posts.frames = append(p.posts.frames, frame)
	p.posts.bytes += len(frame)
	return true
}

// sendPosts sends what waits for the member, until nothing does. Without a connection
// all of it is lost.
func (l *Link) sendPosts(member uint64, p *peer) {
	for {
		p.posts.mu.Lock()
		frames := p.posts.frames
		p.posts.frames, p.posts.bytes = nil, 0
		p.posts.sending = len(frames) > 0
		p.posts.mu.Unlock()
		if len(frames) == 0 {
			return
		}
		c, err := p.calls.get(l.ctx, func() (*caller, error) { return l.newCaller(l.ctx, member) }, l.timeouts.again)
		if err != nil {
			continue // the engine's own connection says in the log that the member is away
		}
		for _, frame := range frames {
			c.post(frame)
		}
	}
}

// post has the frame of a message sent, if the connection lasts.
func (k *caller) post(frame []byte) {
	k.mu.Lock()
	k.posted = time.Now()
	k.mu.Unlock()
	select {
	case k.out <- &call{frame: frame}:
	case <-k.done:
	}
}
