package tree

import (
	"bytes"
	"encoding/base64"
	"slices"
	"unicode/utf8"
)

// Unprinted is what is left to print of an event's JSON, for who prints it part by part as it is sent: of ten
// megabytes that become sixty, no more than a part is in memory, however many clients are sent them. It holds the
// event's values, and none of them changes. The same part can be printed again.
type Unprinted struct {
	form   valueForm
	rest   []byte    // of the JSON with empty values
	values [2][]byte // to be put into rest; the first may have begun
	count  int       // of values
	begun  bool
}

// partedText is the length from which on the JSON of an event is never printed as a whole for watchers.
const partedText = 1 << 20

// latePart is how much of a value is in one part: a multiple of what base64 encodes at once.
const latePart = 3 * 5 << 10

// Parted reports whether n is printed part by part for each of its watchers, by Unprinted.
func (n *EncodedEvent) Parted() bool { return n.Late != nil && n.Late.size >= partedText }

// Ready makes what n's watchers share: the text, or the values if that is printed in parts. It reports false if n was
// left to the window and is no longer there.
func (n *EncodedEvent) Ready() bool {
	if n.Parted() {
		return n.Late.whole() != nil
	}
	return n.Text() != nil
}

// Held is how many bytes the watchers of a ready n share.
func (n *EncodedEvent) Held() int {
	if n.Parted() {
		return n.Late.whole().Held()
	}
	return n.Size()
}

// Unprinted returns all of the JSON of a ready n, with value64 in place of each value if as64 says so, and how long
// it is.
func (n *EncodedEvent) Unprinted(as64 bool) (u Unprinted, size int) {
	form := asText
	if as64 {
		form = asBase64
	}
	u = n.Late.whole().unprinted(form)
	return u, u.size()
}

// whole returns l with its values, which it reads if they were left to the window; nil: they are no longer there.
func (l *late) whole() *late {
	if !l.left {
		return l
	}
	l.again.Do(func() {
		if n, ok := l.read(); ok {
			l.found = n.Late
		}
	})
	return l.found
}

// unprinted returns all of the JSON of an event that holds its values.
func (l *late) unprinted(form valueForm) Unprinted {
	bare := l.event
	bare.Node.Value, bare.Prev.Value = nil, nil
	u := Unprinted{form: form, rest: appendEventAs(nil, &bare, form)}
	for value := range l.values {
		u.values[u.count] = value
		u.count++
	}
	return u
}

func (u *Unprinted) size() int {
	size := len(u.rest)
	for _, value := range u.values[:u.count] {
		if u.form == asBase64 {
			size += base64.StdEncoding.EncodedLen(len(value))
		} else {
			size += textLen(value)
		}
	}
	return size
}

// More reports whether something is left.
func (u *Unprinted) More() bool { return len(u.rest) > 0 }

// Append appends the next part, and returns what is left behind that.
func (u Unprinted) Append(dst []byte) (text []byte, left Unprinted) {
	if u.count == 0 {
		return append(dst, u.rest...), Unprinted{}
	}
	if !u.begun {
		u.begun = true
		at := u.nextValue()
		dst, u.rest = append(dst, u.rest[:at]...), u.rest[at:]
	}
	value := u.values[0]
	n := len(value)
	if u.form == asBase64 {
		n = min(n, latePart)
		dst = base64.StdEncoding.AppendEncode(dst, value[:n])
	} else {
		n = cutText(value, latePart)
		dst = appendText(slices.Grow(dst, escapedLen(value[:n])), value[:n])
	}
	if u.values[0] = value[n:]; n == len(value) {
		u.values, u.begun = [2][]byte{u.values[1]}, false
		u.count--
	}
	return dst, u
}

// nextValue returns where the next value belongs in rest.
func (u *Unprinted) nextValue() int {
	field := valueField
	if u.form == asBase64 {
		field = value64Field
	}
	return bytes.Index(u.rest, []byte(field)) + len(field)
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
