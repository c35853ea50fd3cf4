package tree

import (
	"errors"
	"iter"
	"time"
)

// State is a member's position in the log. It fills the headers X-Etcd-Index,
// X-Raft-Index and X-Raft-Term.
type State struct {
	Index     Index
	RaftIndex uint64
	RaftTerm  uint64
}

// Reply is the outcome of an applied command: an event or an error.
type Reply struct {
	// JSON is the event as v2 prints it, including the newline; nil if Err or Late is
	// set. It is shared with watchers and must not be modified.
	JSON []byte
	Late *late
	// Binary are the values that JSON doesn't carry.
	Binary Binary
	// Outcome is what became of a change of users and roles, encoded by package auth.
	Outcome []byte
	Action  Action
	Created bool // answer with 201 instead of 200
	State   State
	Err     *Error
	// Queued is the time until the command was proposed, Applied the time from
	// then until its outcome was known.
	Queued, Applied time.Duration
}

// Leave leaves the values of an event that is printed late to the window.
func (r *Reply) Leave() { r.Late, r.Binary = r.Late.Left(), nil }

// Read reads the values of an event that was left, and reports whether it could: they may be gone, and then r is
// NoAnswer. Parts of its JSON can be made then, if it isn't made already.
func (r *Reply) Read() bool {
	n, ok := r.Late.read()
	if !ok {
		r.NoAnswer()
		return false
	}
	if r.JSON, r.Late = n.JSON, n.Late; n.Binary != nil {
		r.Binary = *n.Binary
	}
	return true
}

// Print makes the JSON of an event that is printed late, and reports whether it could: what was left to the
// window may no longer be there, and then r is NoAnswer.
func (r *Reply) Print() bool {
	late := r.Late
	if late == nil {
		return true
	}
	if r.JSON, r.Late = late.JSON(), nil; late.binary != nil {
		r.Binary = *late.binary
	}
	if r.JSON == nil {
		r.NoAnswer()
	}
	return r.Err == nil
}

var errNoAnswer = errors.New("the change was made, but there is no memory for its answer")

// NoAnswer makes r, the reply to a write that has been made, say that there is no room for it.
func (r *Reply) NoAnswer() {
	err := Unavailable(errNoAnswer)
	err.Index = r.State.Index
	*r = Reply{Err: err, State: r.State, Queued: r.Queued, Applied: r.Applied}
}

// Query is a read of a file or a directory listing.
type Query struct {
	Key       string
	Recursive bool
	Sorted    bool
	Quorum    bool // linearizable: sees every write completed before the call
	// MaxStale, unless it is 0, is how old the answer may be: it shows every write that was
	// completed so long before the call.
	MaxStale time.Duration
	// MinIndex is an index that the answer is to be up to date with; 0: any will do.
	MinIndex Index
	// Authorization is as in Command.Asked, of a read that isn't answered as it comes.
	Authorization string
	Page          Page
	// Tag is asked, and told, which state of the key the answer shows.
	Tag *Tag
	// Raw asks for the bytes of a file's value alone, and is told its modifiedIndex; a directory is refused with
	// CodeNotFile.
	Raw *Index
	// RestFrom is how many bytes a listing has that comes with a Rest, though it may be an empty one, and
	// as a Kept if it is kept in memory; 0: those that are too long for one buffer.
	RestFrom int
	// Room, unless it is nil, is asked before an answer takes so much more memory until its
	// client has it, if that is much. If it says no, there is no answer.
	Room interface{ Take(bytes int) bool }
}

// Confirmed reports whether the answer is to wait for other members.
func (q *Query) Confirmed() bool { return q.Quorum || q.MaxStale > 0 }

// Watch is one client's request for events. The caller fills it in, uses it once,
// and never changes it afterwards.
type Watch struct {
	Key       string
	Recursive bool
	Stream    bool   // deliver every event, not only the first
	Hub       uint16 // the hub that the watch is with; who registers it there sets it
	Since     Index  // first index to deliver; 0: from the next change on
	Sink      Sink
	// Also are more keys, none of them twice; each event is delivered once. It is a pointer
	// since hardly a watch has any, and there may be one for each of many clients.
	Also *[]string
}

// Keys are all keys of w.
func (w *Watch) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(w.Key) || w.Also == nil {
			return
		}
		for _, key := range *w.Also {
			if !yield(key) {
				return
			}
		}
	}
}

// Wants reports whether w sees n, as Concerns has it.
func (w *Watch) Wants(n *EncodedEvent) bool {
	for key := range w.Keys() {
		if n.Concerns(key, w.Recursive) {
			return true
		}
	}
	return false
}

// Sink receives the events of a Watch, in index order. Its methods are called by one
// goroutine at a time and must not wait for the client. The events are shared and
// immutable.
type Sink interface {
	// Deliver passes the next event. Without Watch.Stream there is at most one call,
	// and no End after it.
	Deliver(*EncodedEvent)
	// End says that there will be no more events: the server is stopping, or the
	// watcher has fallen behind the event window. It is the last call.
	End()
}

// Rest is the rest of a listing that is too long for one buffer. It holds a snapshot
// of the tree until it is closed, and is not safe for concurrent use.
type Rest interface {
	// Size returns the total size in bytes, before the first Next; -1 if unknown.
	Size() int
	// Next returns the next part and reports whether more follow. The part is valid
	// until the next call of Next or Close, and must not be modified. An error comes
	// from the storage, and the answer can't be completed after it.
	Next() (part []byte, more bool, err error)
	// Close releases the snapshot.
	Close()
}

// Kept is a Rest that is a whole listing, kept in memory for all who read it, and beside it another form
// of its text.
type Kept interface {
	Rest
	// Text is the whole listing. It must not be modified.
	Text() []byte
	// Packed returns the other form, or nil, and whether it would be kept if there was one.
	Packed() (rest Rest, missing bool)
	// Pack keeps the other form and returns it; nil says that there is none. Unless it is known, nothing is kept.
	Pack(text []byte, known bool) Rest
}
