package statemachine

import "encoding/binary"

// fields decodes the fields of a record one by one. If one is truncated, short is set and
// all further fields are zero.
type fields struct {
	rest  []byte
	short bool
}

func (f *fields) fail() { f.rest, f.short = nil, true }

func (f *fields) uvarint() uint64 {
	n, size := binary.Uvarint(f.rest)
	if size <= 0 {
		f.fail()
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

func (f *fields) varint() int64 {
	n, size := binary.Varint(f.rest)
	if size <= 0 {
		f.fail()
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

// fixed decodes 8 bytes.
func (f *fields) fixed() uint64 {
	b := f.take(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// bytes decodes a uvarint length and returns that many bytes.
func (f *fields) bytes() []byte { return f.take(f.uvarint()) }

func (f *fields) take(n uint64) []byte {
	if n > uint64(len(f.rest)) {
		f.fail()
		return nil
	}
	b := f.rest[:n:n]
	f.rest = f.rest[n:]
	return b
}
