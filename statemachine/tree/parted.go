package tree

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// partedText is the length from which on the JSON of an event isn't made as a whole for watchers. Each is sent it part
// by part, printed from the values, which all share: of ten megabytes that become sixty, no more than a part is in memory.
const partedText = 1 << 20

// latePart is how much of a value is in one part: a multiple of what base64 encodes at once.
const latePart = 3 * 5 << 10

// Parted reports whether n's JSON is for AppendPart, or too long to be copied if it has been made already.
func (n *EncodedEvent) Parted() bool { return n.Size() >= partedText }

// Ready makes what n's watchers share: the text, or the values if that is printed in parts. It reports false if n was
// left to the window and is no longer there.
func (n *EncodedEvent) Ready() bool {
	if n.Late != nil && n.Parted() {
		return n.whole() != nil
	}
	return n.Text() != nil
}

// Held is how many bytes the watchers of a ready n share.
func (n *EncodedEvent) Held() int {
	if whole := n.whole(); whole.Late != nil {
		return whole.Late.Held()
	}
	return n.Size()
}

// whole returns n with its JSON or its values, which are read if they were left to the window; nil: they are no longer
// there.
func (n *EncodedEvent) whole() *EncodedEvent {
	l := n.Late
	if !l.IsLeft() {
		return n
	}
	l.again.Do(func() {
		if found, ok := l.read(); ok {
			l.found = &found
		}
	})
	return l.found
}

// Whole returns the JSON of a ready n if it has been made already, with value64 in place of each value if as64 says so;
// nil: AppendPart makes it, which will be size bytes long.
func (n *EncodedEvent) Whole(as64 bool) (text []byte, size int) {
	n = n.whole()
	switch {
	case n.Late != nil:
		return nil, n.Late.sizeIn(form(as64))
	case as64:
		text = n.AppendBase64(nil)
	default:
		text = n.JSON
	}
	return text, len(text)
}

// AppendPart appends part i of a ready n's JSON, from 0 on, and reports whether more follow. The same part is the same
// each time.
func (n *EncodedEvent) AppendPart(dst []byte, i int, as64 bool) (out []byte, more bool) {
	return n.whole().Late.appendPart(dst, i, form(as64))
}

func form(as64 bool) valueForm {
	if as64 {
		return asBase64
	}
	return asText
}

// bare is the JSON with empty values.
func (l *late) bare(form valueForm) []byte {
	e := l.event
	e.Node.Value, e.Prev.Value = nil, nil
	return appendEventAs(nil, &e, form)
}

func (l *late) sizeIn(form valueForm) int {
	if form == asText {
		return l.size
	}
	size := len(l.bare(form))
	for value := range l.values {
		size += base64.StdEncoding.EncodedLen(len(value))
	}
	return size
}

// appendPart is AppendPart for an event that holds its values. A part is of one value, with what is before it, or
// what is behind the last one.
func (l *late) appendPart(dst []byte, i int, form valueForm) (out []byte, more bool) {
	rest, field := l.bare(form), valueField
	if form == asBase64 {
		field = value64Field
	}
	for value := range l.values {
		at := bytes.Index(rest, []byte(field)) + len(field)
		parts := max(1, (len(value)+latePart-1)/latePart)
		switch {
		case i == 0:
			dst = append(dst, rest[:at]...)
			fallthrough
		case i < parts:
			return appendValuePart(dst, value, i*latePart, form), true
		}
		rest, i = rest[at:], i-parts
	}
	return append(dst, rest...), false
}

// appendValuePart appends what a value has in one part.
func appendValuePart(dst, value []byte, from int, form valueForm) []byte {
	if form == asBase64 {
		return base64.StdEncoding.AppendEncode(dst, value[from:min(from+latePart, len(value))])
	}
	return appendText(dst, value[cutText(value, from):cutText(value, from+latePart)])
}

// cutText returns where to cut text behind about n bytes, so that both sides are escaped as they are
// together: never within a rune.
func cutText(text []byte, n int) int {
	if n == 0 || n >= len(text) {
		return min(n, len(text))
	}
	for back := range utf8.UTFMax {
		if utf8.RuneStart(text[n-back]) {
			return n - back
		}
	}
	return n
}
