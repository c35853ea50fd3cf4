package tree

import "time"

// State is where a member stands: what goes into the X-Etcd-Index,
// X-Raft-Index and X-Raft-Term headers.
type State struct {
	Index     Index
	RaftIndex uint64
	RaftTerm  uint64
}

// Reply is the outcome of a command that was applied: an event or an error.
type Reply struct {
	// JSON is the event as v2 prints it, with the newline; nil if Err is set.
	// It is shared with watchers: don't change it.
	JSON    []byte
	Action  Action
	Created bool // 201 rather than 200
	State   State
	Err     *Error
	// Queued is how long the command waited to be proposed, Applied what it took
	// from there to its outcome.
	Queued, Applied time.Duration
}

// Query is a read of one node or of a directory's listing.
type Query struct {
	Key       string
	Recursive bool
	Sorted    bool
	Quorum    bool // linearizable: as of a moment after the call began
}

// Watch is one client's wish to be told of changes. The asker fills it, uses
// it once, and never changes it afterwards.
type Watch struct {
	Key       string
	Recursive bool
	Stream    bool  // every event, not just the first
	Since     Index // the first index of interest; 0: the next change
	Sink      Sink
}

// Sink receives what a Watch asked for, in index order. Its methods are called
// by one goroutine at a time, mustn't wait for the client, and get notices that
// are shared and immutable.
type Sink interface {
	// Deliver hands over the next event. Unless the watch streams, it is the
	// only call.
	Deliver(*EncodedEvent)
	// End says that no more will come: the server stops, or a stream fell
	// behind what the window still holds. It is the last call.
	End()
}

// Rest is what is left of a listing that was too long for one buffer. It holds
// a snapshot of the tree until it is closed, and is not safe for concurrent use.
type Rest interface {
	// Size is how many bytes there are, before the first Next; -1 if nobody knows.
	Size() int
	// Next returns the next part, and reports whether more follows. The part is
	// good until the next call or Close, and mustn't be changed. After an error,
	// which is a fault of the storage, the answer can't be completed.
	Next() (part []byte, more bool, err error)
	Close()
}
