package tree

import "bytes"

// Action is what happened to a node, in v2's terms. The set is closed: clients
// panic on an action that they don't know.
type Action uint8

// The actions of v2.
const (
	actionGet Action = iota + 1
	ActionSet
	ActionCreate
	ActionUpdate
	ActionCompareAndSwap
	ActionDelete
	ActionCompareAndDelete
	ActionExpire
)

var actionNames = [...]string{
	actionGet:              "get",
	ActionSet:              "set",
	ActionCreate:           "create",
	ActionUpdate:           "update",
	ActionCompareAndSwap:   "compareAndSwap",
	ActionDelete:           "delete",
	ActionCompareAndDelete: "compareAndDelete",
	ActionExpire:           "expire",
}

// String returns v2's name of the action; empty for an unknown one.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return ""
}

// Removes reports whether the action removes its node from the tree.
func (a Action) Removes() bool {
	return a == ActionDelete || a == ActionCompareAndDelete || a == ActionExpire
}

// Event records what one successful command did. Node.Modified is its index.
type Event struct {
	Action  Action
	Node    Node
	Prev    Node // the node before the change; valid if HasPrev
	HasPrev bool
	// Refresh marks a change of only the time to live. It takes an index and a
	// place in the window, but no watcher sees it.
	Refresh bool
	// Now is the time, in Unix nanoseconds, that the ttl fields count from.
	Now int64
}

// Index returns the event's index: its place in the order of all changes.
func (e *Event) Index() Index { return e.Node.Modified }

// valueForm is how the node is printed: that of a removal has no value.
func (e *Event) valueForm() valueForm {
	if e.Action.Removes() {
		return noValue
	}
	return asText
}

// Created reports whether v2 answers the write with 201 instead of 200.
func (e *Event) Created() bool {
	return e.Action == ActionCreate || e.Action == ActionSet && !e.HasPrev
}

// EncodedEvent is an event as watchers and the event window hold it: encoded once,
// with the fields needed to find the watchers that it concerns. It is immutable.
type EncodedEvent struct {
	Index Index
	Key   string
	// JSON is the event as v2 prints it, with the newline; nil if Late is set. See Text.
	JSON []byte
	Late *late
	// Binary are the values that JSON doesn't carry. It is a pointer since hardly an event has any.
	Binary *Binary
	Action Action
	// Dir says that the node is a directory. If Action removes it, everything
	// below it is gone too, and watchers below it see the event.
	Dir     bool
	Refresh bool // see Event
}

// Encoded returns e as an EncodedEvent; json must be AppendEvent's output for e.
func (e *Event) Encoded(json []byte) EncodedEvent {
	n := e.withoutJSON()
	n.JSON = json
	n.Binary.Each(bytes.Clone)
	return n
}

// withoutJSON returns e as an EncodedEvent that has yet to get its JSON, and shares e's values.
func (e *Event) withoutJSON() EncodedEvent {
	return EncodedEvent{
		Index:   e.Index(),
		Action:  e.Action,
		Key:     e.Node.Key,
		Dir:     e.Node.Dir,
		Refresh: e.Refresh,
		Binary:  e.binary(),
	}
}

// Text is the event as v2 prints it, with the newline; nil if it was left to the window and is no longer there.
func (n *EncodedEvent) Text() []byte {
	if n.Late != nil {
		return n.Late.JSON()
	}
	return n.JSON
}

// Size is the length of the text.
func (n *EncodedEvent) Size() int {
	if n.Late != nil {
		return n.Late.Size()
	}
	return len(n.JSON)
}

// Concerns reports whether a watcher of key sees the event. Live delivery and
// replay from the window both follow this rule.
//
// The removal of a directory concerns all watchers below it, hidden or not. For
// live delivery, the watch hub narrows that to keys that existed.
func (n *EncodedEvent) Concerns(key string, recursive bool) bool {
	switch {
	case n.Refresh:
		return false
	case n.Key == key:
		return true
	case n.Dir && n.Action.Removes() && Within(n.Key, key):
		return true
	default:
		return recursive && Within(key, n.Key) && !HiddenBelow(key, n.Key)
	}
}
