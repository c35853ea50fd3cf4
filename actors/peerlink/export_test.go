package peerlink

import (
	"net"
	"time"
)

// ListenHasty is Listen with short time-outs: what would take seconds or minutes
// takes a fraction of a second.
func ListenHasty(o Options) (*Link, error) {
	const hurry = 300 * time.Millisecond
	return listen(o, &timeouts{
		dial: time.Second, greet: hurry, lost: time.Minute, stall: hurry, disk: hurry,
		raft: hurry, chunk: hurry, calls: hurry, stranger: hurry, pooled: hurry / 3, again: time.Millisecond,
	})
}

// AcceptFrom has the link accept from ln until that is closed.
func (l *Link) AcceptFrom(ln net.Listener) { l.accept(&port{ln: ln}) }

// The bounds that tests reach for.
const (
	WaitingLimit  = waitingLimit
	MemberSlots   = memberSlots
	StrangerSlots = strangerSlots
	FrameHead     = frameHead
)

// BatchFrame is a frame that says it is a message batch.
func BatchFrame(payload []byte) []byte {
	return sealFrame(append(beginFrame(nil), payload...), frameBatch)
}

// CallFrame is a frame that is a call.
func CallFrame(payload string) []byte {
	return sealFrame(appendCall(beginFrame(nil), request{id: 1, payload: []byte(payload)}), frameCall)
}

// Hello is the beginning of a connection for raft messages.
func Hello(cluster, generation, from, to uint64) []byte {
	return hello{kind: kindRaft, cluster: cluster, generation: generation, from: from, to: to}.append(nil)
}
