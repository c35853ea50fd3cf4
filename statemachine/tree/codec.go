package tree

import (
	"encoding/binary"
	"slices"
)

// A command in a batch:
//
//	op     1 byte   and 128 if an id follows
//	flags  1 byte   the command's booleans, and which optional fields follow
//	id, sum  uvarint length, bytes, and 8 bytes little-endian: see Once; versions of copse before
//	         2026-11-30 don't know them
//	now    varint   Unix nanoseconds
//	key, value, prevValue   uvarint length, bytes
//	prevIndex  uvarint
//	expires    varint
//	limit      uvarint
//
// The key is always present. Integers are encoding/binary's varints.
const (
	flagDir = 1 << iota
	flagRecursive
	flagRefresh
	flagValue
	flagPrevValue
	flagPrevIndex
	flagExpires
	flagLimit
)

const opOnce = 0x80

// AppendCommand appends c to a batch.
func AppendCommand(dst []byte, c *Command) []byte {
	if c.Once.ID == "" {
		dst = append(dst, byte(c.Op), c.flags())
	} else {
		dst = appendBytes(append(dst, byte(c.Op)|opOnce, c.flags()), c.Once.ID)
		dst = binary.LittleEndian.AppendUint64(dst, c.Once.Sum)
	}
	dst = binary.AppendVarint(dst, c.Now)
	dst = appendBytes(dst, c.Key)
	if len(c.Value) > 0 {
		dst = appendBytes(dst, c.Value)
	}
	if c.PrevValue != "" {
		dst = appendBytes(dst, c.PrevValue)
	}
	if c.PrevIndex != 0 {
		dst = binary.AppendUvarint(dst, uint64(c.PrevIndex))
	}
	if c.Expires != 0 {
		dst = binary.AppendVarint(dst, c.Expires)
	}
	if c.Limit > 0 {
		dst = binary.AppendUvarint(dst, uint64(c.Limit))
	}
	return dst
}

// Size returns an upper bound, in bytes, of what AppendCommand appends for c.
func (c *Command) Size() int {
	return 64 + len(c.Key) + len(c.Value) + len(c.PrevValue) + len(c.Once.ID)
}

func (c *Command) flags() (f byte) {
	set := func(on bool, bit byte) {
		if on {
			f |= bit
		}
	}
	set(c.Dir, flagDir)
	set(c.Recursive, flagRecursive)
	set(c.Refresh, flagRefresh)
	set(len(c.Value) > 0, flagValue)
	set(c.PrevValue != "", flagPrevValue)
	set(c.PrevIndex != 0, flagPrevIndex)
	set(c.Expires != 0, flagExpires)
	set(c.Limit > 0, flagLimit)
	return f
}

// copyPiece is how much is copied at once. The runtime can't stop a goroutine within one copy, and when the
// collector waits for it, so does everything else.
const copyPiece = 64 << 10

func appendBytes[S string | []byte](dst []byte, s S) []byte {
	dst = slices.Grow(binary.AppendUvarint(dst, uint64(len(s))), len(s))
	for ; len(s) > copyPiece; s = s[copyPiece:] {
		dst = append(dst, s[:copyPiece]...)
	}
	return append(dst, s...)
}

// readCommand reads one command into c, whose Value then points into d's bytes. An
// unknown operation makes d fail.
func readCommand(d *Decoder, c *Command) {
	op, flags := Op(d.Byte()), d.Byte()
	var once Once
	repeatable := op&opOnce != 0
	if op &^= opOnce; repeatable {
		once = Once{ID: string(d.Bytes()), Sum: d.Fixed64()}
	}
	*c = Command{
		Op:        op,
		Dir:       flags&flagDir != 0,
		Recursive: flags&flagRecursive != 0,
		Refresh:   flags&flagRefresh != 0,
		Once:      once,
		Now:       d.Varint(),
		Key:       string(d.Bytes()),
	}
	if flags&flagValue != 0 {
		c.Value = d.Bytes()
	}
	if flags&flagPrevValue != 0 {
		c.PrevValue = string(d.Bytes())
	}
	if flags&flagPrevIndex != 0 {
		c.PrevIndex = Index(d.Uvarint())
	}
	if flags&flagExpires != 0 {
		c.Expires = d.Varint()
	}
	if flags&flagLimit != 0 {
		c.Limit = int(min(d.Uvarint(), 1<<30))
	}
	if op == 0 || op >= opEnd || repeatable && !c.identified() || !c.wellStaged() {
		d.Fail()
	}
}

// Indexes returns how many indexes c takes at most.
func (c *Command) Indexes() int {
	switch c.Op {
	case OpExpire, OpTxn:
		return c.Limit
	case OpStage:
		return 0
	}
	return 1
}
