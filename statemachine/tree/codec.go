package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A batch of commands is what one raft entry holds:
//
//	version  1 byte   batchVersion
//	origin   uvarint  the replica that waits for the replies; others build none
//	count    uvarint
//	commands, each:
//	  op     1 byte
//	  flags  1 byte   which of the following fields are there
//	  now    varint   Unix nanoseconds
//	  key, value, prevValue   uvarint length, bytes
//	  prevIndex  uvarint
//	  expires    varint
//	  limit      uvarint
//
// The key is always there. Integers are encoding/binary's varints.
//
// A batch whose indexes the order shard has handed out, see docs/SHARDS.md, has
// another head:
//
//	version      1 byte   orderedVersion
//	flags        1 byte   1: creates in order in the root
//	origin       uvarint
//	first, last  uvarint  the range of indexes; first is above 0
//	count        uvarint
const (
	batchVersion   = 1
	orderedVersion = 2

	orderedRoot = 1
)

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

// Errors of decoding. None of them can come from a client's input: they mean
// a damaged log, or one written by a newer copse.
var (
	ErrBatchVersion = errors.New("raft entry is in a newer format than this copse knows: start the newer copse again")
	errBatchShort   = errors.New("raft entry is cut short or damaged")
)

// AppendBatch appends the head of a batch of count commands to dst; the
// commands follow, each by AppendCommand.
func AppendBatch(dst []byte, origin uint64, count int) []byte {
	dst = append(dst, batchVersion)
	dst = binary.AppendUvarint(dst, origin)
	return binary.AppendUvarint(dst, uint64(count))
}

// AppendOrderedBatch appends the head of a batch that takes its indexes from r;
// root says that they are creates in order in the root, whose names belong to the
// shard's slot.
func AppendOrderedBatch(dst []byte, origin uint64, r Range, root bool, count int) []byte {
	var flags byte
	if root {
		flags = orderedRoot
	}
	dst = append(dst, orderedVersion, flags)
	dst = binary.AppendUvarint(dst, origin)
	dst = binary.AppendUvarint(dst, uint64(r.First))
	dst = binary.AppendUvarint(dst, uint64(r.Last))
	return binary.AppendUvarint(dst, uint64(count))
}

// AppendCommand appends c to a batch.
func AppendCommand(dst []byte, c *Command) []byte {
	dst = append(dst, byte(c.Op), c.flags())
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

// Size is about how many bytes AppendCommand takes for c; never less.
func (c *Command) Size() int {
	return 64 + len(c.Key) + len(c.Value) + len(c.PrevValue)
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

func appendBytes[S string | []byte](dst []byte, s S) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// BatchReader reads a batch, command by command.
type BatchReader struct {
	Origin uint64
	// Ordered: the batch takes its indexes from Range; those of Root are creates in
	// order in the root.
	Ordered, Root bool
	Range         Range

	left uint64
	d    decoder
}

// ReadBatch starts reading a batch.
func ReadBatch(data []byte) (*BatchReader, error) {
	if len(data) == 0 {
		return nil, errBatchShort
	}
	r := &BatchReader{d: decoder{data: data[1:]}}
	switch data[0] {
	case batchVersion:
		r.Origin = r.d.uvarint()
	case orderedVersion:
		r.readOrder()
	default:
		return nil, fmt.Errorf("%w (version %d)", ErrBatchVersion, data[0])
	}
	r.left = r.d.uvarint()
	if r.d.failed || r.left > uint64(len(r.d.data)) {
		return nil, errBatchShort
	}
	return r, nil
}

// readOrder reads what the head of an ordered batch has in front of its count.
func (r *BatchReader) readOrder() {
	flags := r.d.byte()
	r.Ordered, r.Root = true, flags == orderedRoot
	r.Origin = r.d.uvarint()
	r.Range = Range{First: Index(r.d.uvarint()), Last: Index(r.d.uvarint())}
	if flags > orderedRoot || r.Range.First == 0 || r.Range.Last < r.Range.First {
		r.d.fail()
	}
}

// Len is how many commands are left.
func (r *BatchReader) Len() int { return int(r.left) }

// Next reads the next command into c and reports whether there was one. What c
// holds then points into the batch's bytes.
func (r *BatchReader) Next(c *Command) (bool, error) {
	if r.left == 0 {
		if len(r.d.data) > 0 {
			return false, errBatchShort
		}
		return false, nil
	}
	r.left--
	d := &r.d
	op, flags := Op(d.byte()), d.byte()
	*c = Command{
		Op:        op,
		Dir:       flags&flagDir != 0,
		Recursive: flags&flagRecursive != 0,
		Refresh:   flags&flagRefresh != 0,
		Now:       d.varint(),
		Key:       string(d.bytes()),
	}
	if flags&flagValue != 0 {
		c.Value = d.bytes()
	}
	if flags&flagPrevValue != 0 {
		c.PrevValue = string(d.bytes())
	}
	if flags&flagPrevIndex != 0 {
		c.PrevIndex = Index(d.uvarint())
	}
	if flags&flagExpires != 0 {
		c.Expires = d.varint()
	}
	if flags&flagLimit != 0 {
		c.Limit = int(min(d.uvarint(), 1<<30))
	}
	if d.failed || op == 0 || op >= opEnd {
		return false, errBatchShort
	}
	return true, nil
}

// decoder takes fields off the front of data; once one is short, failed is
// set and all further ones are zero.
type decoder struct {
	data   []byte
	failed bool
}

func (d *decoder) fail() {
	d.data, d.failed = nil, true
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.fail()
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.fail()
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}
