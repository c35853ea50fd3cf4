package etcddir

import (
	"encoding/binary"
	"errors"
)

var errForm = errors.New("not in the form of etcd's messages")

// The kinds of fields that etcd's messages have.
const (
	varint = 0
	text   = 2
)

// field is one field of a message in the encoding of protocol buffers.
type field struct {
	number int
	kind   int
	value  uint64 // of a varint
	data   []byte // of bytes; part of the message
}

// is reports whether the field has the number and the kind.
func (f *field) is(number, kind int) bool { return f.number == number && f.kind == kind }

// eachField calls yield with each field of the message. A field that yield doesn't want
// makes the message one of another form.
func eachField(message []byte, yield func(f *field) bool) error {
	for len(message) > 0 {
		var f field
		var ok bool
		if f, message, ok = nextField(message); !ok || !yield(&f) {
			return errForm
		}
	}
	return nil
}

func nextField(b []byte) (f field, rest []byte, ok bool) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29 {
		return f, nil, false
	}
	b = b[n:]
	f.number, f.kind = int(tag>>3), int(tag&7)
	switch f.kind {
	case varint:
		f.value, n = binary.Uvarint(b)
	case text:
		var size uint64
		if size, n = binary.Uvarint(b); n > 0 {
			if size > uint64(len(b)-n) {
				return f, nil, false
			}
			f.data = b[n : n+int(size)]
			n += int(size)
		}
	case 1:
		n = 8
	case 5:
		n = 4
	default:
		n = 0
	}
	if n <= 0 || n > len(b) {
		return f, nil, false
	}
	return f, b[n:], true
}

// numbers reads a message of varints, numbered from 1.
func numbers(message []byte, into ...*uint64) error {
	return eachField(message, func(f *field) bool {
		if f.kind != varint || f.number > len(into) {
			return false
		}
		*into[f.number-1] = f.value
		return true
	})
}
