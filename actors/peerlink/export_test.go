package peerlink

import (
	"net"
	"time"
)

// ListenHasty is Listen with short timeouts: fractions of a second instead of seconds
// or minutes.
func ListenHasty(o Options) (*Link, error) {
	const hurry = 300 * time.Millisecond
	return listen(o, &timeouts{
		dial: time.Second, greet: hurry, lost: time.Minute, stall: hurry, disk: hurry,
		raft: hurry, chunk: hurry, calls: hurry, stranger: hurry, pooled: hurry / 3, again: time.Millisecond,
	})
}

// AcceptFrom makes the link accept from ln until ln is closed.
func (l *Link) AcceptFrom(ln net.Listener) { l.accept(&port{ln: ln}) }

// Limits that tests check.
const (
	WaitingLimit  = waitingLimit
	MemberSlots   = memberSlots
	StrangerSlots = strangerSlots
	FrameHead     = frameHead
)

// BatchFrame returns a frame of the kind message batch.
func BatchFrame(payload []byte) []byte {
	return sealFrame(append(beginFrame(nil), payload...), frameBatch)
}

// CallFrame returns a frame of the kind call.
func CallFrame(payload string) []byte {
	return sealFrame(appendCall(beginFrame(nil), request{id: 1, payload: []byte(payload)}), frameCall)
}

// Hello is the beginning of a connection for raft messages.
func Hello(cluster, generation, from, to uint64) []byte {
	return hello{kind: kindRaft, cluster: cluster, generation: generation, from: from, to: to}.append(nil)
}
