package tree

import (
	"bytes"
	"slices"
	"sync"
	"unicode/utf8"
)

// late is the JSON of a large event that is made when somebody needs it, apart from the
// goroutine that applies entries, for which all writes wait. Values of ten megabytes may become
// sixty. It holds the event's values instead, which are slices of the raft entry or of what was read.
type late struct {
	event Event
	size  int
	once  sync.Once
	json  []byte
}

// lateValues is the length of an event's values from which on its JSON is worth being made late.
const lateValues = 64 << 10

// IsLarge reports whether the event's JSON should be made late.
func (e *Event) IsLarge() bool { return len(e.Node.Value)+len(e.Prev.Value) >= lateValues }

// Late returns e as an EncodedEvent whose JSON isn't made yet. e's values must not change any more.
func (e *Event) Late() EncodedEvent {
	n := e.withoutJSON()
	l := &late{event: *e}
	bare := *e
	bare.Node.Value, bare.Prev.Value = nil, nil
	l.size = len(AppendEvent(nil, &bare))
	for value := range l.values {
		l.size += textLen(value)
	}
	n.Late = l
	return n
}

// values yields the values that the JSON has.
func (l *late) values(yield func([]byte) bool) {
	if e := &l.event; !e.Node.Dir && e.valueForm() != noValue && !yield(e.Node.Value) {
		return
	}
	if e := &l.event; e.HasPrev && !e.Prev.Dir {
		yield(e.Prev.Value)
	}
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

// JSON is the event as AppendEvent prints it.
func (l *late) JSON() []byte {
	l.once.Do(func() { l.json = AppendEvent(make([]byte, 0, l.size), &l.event) })
	return l.json
}

// Parts returns the JSON in parts that are made as they are read, for one reader.
func (l *late) Parts() Rest {
	bare := l.event
	bare.Node.Value, bare.Prev.Value = nil, nil
	p := &lateParts{size: l.size, rest: AppendEvent(nil, &bare)}
	for value := range l.values {
		p.values = append(p.values, value)
	}
	return p
}

// latePart is how much of a value is in one part.
const latePart = 16 << 10

// lateParts is a Rest.
type lateParts struct {
	size   int
	rest   []byte   // of the JSON with empty values
	values [][]byte // to be put into rest; the first may have begun
	begun  bool
	part   []byte
}

func (p *lateParts) Size() int { return p.size }

func (p *lateParts) Close() {}

func (p *lateParts) Next() (part []byte, more bool, err error) {
	if len(p.values) == 0 {
		return p.rest, false, nil
	}
	if p.part = p.part[:0]; !p.begun {
		p.begun = true
		at := indexValue(p.rest)
		p.part, p.rest = append(p.part, p.rest[:at]...), p.rest[at:]
	}
	value := p.values[0]
	n := cutText(value, latePart)
	p.part = appendText(slices.Grow(p.part, escapedLen(value[:n])), value[:n])
	if p.values[0] = value[n:]; n == len(value) {
		p.values, p.begun = p.values[1:], false
	}
	return p.part, true, nil
}

// indexValue returns where the next value belongs in the JSON of an event with empty ones.
func indexValue(json []byte) int {
	return bytes.Index(json, []byte(valueField)) + len(valueField)
}

// cutText returns where to cut text behind about n bytes, so that both sides are escaped as they are
// together: never within a rune.
func cutText(text []byte, n int) int {
	if n >= len(text) {
		return len(text)
	}
	for back := range utf8.UTFMax {
		if utf8.RuneStart(text[n-back]) {
			return n - back
		}
	}
	return n
}
