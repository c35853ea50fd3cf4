package tree

import "sync"

// late is the JSON of a large event that is made when somebody needs it, apart from the
// goroutine that applies entries, for which all writes wait. Values of ten megabytes may become
// sixty. It holds the event's values instead, which are slices of the raft entry or of what was read.
// It may also have left them to the window of events, and is read from there when it is needed.
type late struct {
	event  Event // without values if they are left
	left   bool  // all of them, or a value that is unread from the beginning
	window window
	size   int
	once   sync.Once
	json   []byte
	binary *Binary // of what was left; set with json
	// again is an event that was left and isn't printed as a whole, as it was found in the window.
	again sync.Once
	found *EncodedEvent
}

// window reads an event that is left, when it is committed: one that has a key by the numbers of its values, and any
// other from the window of events, by its index. ok is false if something is no longer kept.
type window func(*Event) (n EncodedEvent, ok bool)

// keptValue is the length up to which an event that is left keeps a value. A Store has longer ones under a number.
const keptValue = 4 << 10

// lateValues is the length of an event's values from which on its JSON is worth being made late.
const lateValues = 64 << 10

// IsLarge reports whether the event's JSON should be made late.
func (e *Event) IsLarge() bool { return e.Node.Len()+e.Prev.Len() >= lateValues }

// Late returns e, which gets into the window, as an EncodedEvent whose JSON isn't made yet. e's values
// must not change any more. If one is unread, it is left from the beginning.
func (e *Event) Late(in window) EncodedEvent {
	n := e.withoutJSON()
	l := &late{event: *e, window: in}
	bare := *e
	bare.Node.Value, bare.Prev.Value = nil, nil
	l.size = len(AppendEvent(nil, &bare))
	for shown := range l.nodes {
		l.size += shown.TextLen()
	}
	if n.Late = l; e.Node.Unread.Length+e.Prev.Unread.Length > 0 {
		return n.Left(in)
	}
	return n
}

// Left returns n with its JSON and values left to the window.
func (n *EncodedEvent) Left(in window) EncodedEvent {
	left := *n
	if n.Late != nil {
		left.Late = n.Late.Left()
	} else {
		left.Late = (&late{event: Event{Node: Node{Modified: n.Index}}, window: in, size: len(n.JSON)}).Left()
	}
	left.JSON, left.Binary = nil, nil
	return left
}

// Apart returns n for who keeps it no longer than it needs the JSON, which others of its batch then don't hold. It is n
// itself if the JSON is made already.
func (n *EncodedEvent) Apart() *EncodedEvent {
	if n.Late == nil {
		return n
	}
	apart := *n
	apart.Late = n.Late.Apart()
	return &apart
}

// Left returns l with its values left to the window.
func (l *late) Left() *late {
	left := l.Apart()
	left.left = true
	left.event.Node.leave()
	left.event.Prev.leave()
	return left
}

// Apart returns l for somebody who waits to print it, and doesn't hold the JSON that others make meanwhile.
func (l *late) Apart() *late {
	return &late{event: l.event, left: l.left, window: l.window, size: l.size}
}

// IsLeft reports whether the values are left to the window; not if l is nil.
func (l *late) IsLeft() bool { return l != nil && l.left }

// nodes yields the nodes whose values the JSON has.
func (l *late) nodes(yield func(*Node) bool) {
	if e := &l.event; !e.Node.Dir && e.valueForm() != noValue && !yield(&e.Node) {
		return
	}
	if e := &l.event; e.HasPrev && !e.Prev.Dir {
		yield(&e.Prev)
	}
}

// values yields the values that the JSON has, if they are held.
func (l *late) values(yield func([]byte) bool) {
	for n := range l.nodes {
		if !yield(n.Value) {
			return
		}
	}
}

// Length is the length of the values that the JSON has, whether they are held or not. If the event was left when it had
// been printed already, nothing is known of them, and it is about what reading it takes.
func (l *late) Length() (bytes int) {
	if l.event.Node.Key == "" {
		return l.Making()
	}
	for n := range l.nodes {
		bytes += n.Len()
	}
	return bytes
}

// Size is the length of the JSON.
func (l *late) Size() int { return l.size }

// Held is how many bytes l holds beside the JSON; 0 if l is nil.
func (l *late) Held() int {
	if l == nil {
		return 0
	}
	return len(l.event.Node.Value) + len(l.event.Prev.Value)
}

// JSON is the event as AppendEvent prints it; nil if it was left to the window and is no longer there.
func (l *late) JSON() []byte {
	l.once.Do(func() {
		if !l.left {
			l.json = AppendEvent(make([]byte, 0, l.size), &l.event)
		} else if n, ok := l.read(); ok {
			l.json, l.binary = n.Text(), n.Binary
		}
	})
	return l.json
}

func (l *late) read() (n EncodedEvent, ok bool) {
	if l.window == nil {
		return n, false
	}
	return l.window(&l.event)
}

// Making is about how many bytes JSON takes beside what l holds: values that it reads are as long as it, at most.
func (l *late) Making() int {
	if l.left {
		return 2 * l.size
	}
	return l.size
}

// Parts returns the JSON in parts that are made as they are read, for one reader. l must hold its values.
func (l *late) Parts() Rest { return &lateParts{late: l} }

// lateParts is a Rest.
type lateParts struct {
	late *late
	next int
	part []byte
}

func (p *lateParts) Size() int { return p.late.size }

func (p *lateParts) Close() {}

func (p *lateParts) Next() (part []byte, more bool, err error) {
	p.part, more = p.late.appendPart(p.part[:0], p.next, asText)
	p.next++
	return p.part, more, nil
}
