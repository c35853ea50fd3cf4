package etcddir

import (
	"encoding/binary"
	"hash/crc32"
)

// A frame of the log is 8 bytes, little-endian, and a record:
//
//	bits 0-55   the record's length; 0: the file ends here
//	bits 56-58  how many zeros follow the record, to the next multiple of 8
//	bit 63      there are such zeros; from etcd 3.0 on
//
// A record is a message: 1 kind, 2 sum, 3 data. The sum is CRC-32C of the data of all
// records so far. The first record of a file has no data, and carries the sum on.
const (
	frameHead   = 8
	lengthBits  = 56
	paddedFlag  = 1 << 63
	paddingMask = 7
	sectorSize  = 512 // what a disk writes whole or not at all
)

// recordLimit is the greatest length that a record is believed to have. Requests were limited to a few megabytes.
const recordLimit = 1 << 30

// The kinds of records.
const (
	metadataRecord = iota + 1
	entryRecord
	stateRecord
	sumRecord
	snapshotRecord
	recordEnd
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameSize takes a frame's head apart. ok is false for a head that no etcd writes.
func frameSize(head uint64) (record, padding int64, ok bool) {
	record = int64(head & (1<<lengthBits - 1))
	flags := head >> lengthBits
	if flags != 0 {
		padding = int64(flags & paddingMask)
		ok = flags == paddedFlag>>lengthBits|uint64(padding) && padding == -record&paddingMask && padding != 0
		return record, padding, ok
	}
	return record, 0, true
}

// record is one record of the log.
type record struct {
	kind uint64
	sum  uint32
	data []byte
}

// parseRecord reads a record that fills b.
func parseRecord(b []byte) (r record, err error) {
	r, n, ok := recordPrefix(b)
	if !ok || n != len(b) {
		return r, errForm
	}
	return r, nil
}

// recordPrefix reads the record at the beginning of b by its own lengths, and returns
// its length.
func recordPrefix(b []byte) (r record, n int, ok bool) {
	rest := b
	for number := 1; number <= 3; number++ {
		if number == 3 && (len(rest) == 0 || rest[0] != 3<<3|text) {
			break // a record without data
		}
		f, after, ok := nextField(rest)
		if !ok || f.number != number {
			return r, 0, false
		}
		switch {
		case f.is(1, varint):
			r.kind = f.value
		case f.is(2, varint):
			if f.value > 1<<32-1 {
				return r, 0, false
			}
			r.sum = uint32(f.value)
		case f.is(3, text):
			r.data = f.data
		default:
			return r, 0, false
		}
		rest = after
	}
	hasData := len(r.data) > 0
	if r.kind == 0 || r.kind >= recordEnd || hasData == (r.kind == sumRecord) {
		return r, 0, false
	}
	return r, len(b) - len(rest), true
}

// follows reports whether r's sum is right behind records with the sum before.
func (r *record) follows(before uint32) bool {
	return crc32.Update(before, castagnoli, r.data) == r.sum
}

// soundBehind reports whether records lie in b, at whatever place, that vouch for one
// another: then what is before them was complete once, and has been damaged.
func soundBehind(b []byte) bool {
	for at := 0; at+frameHead+5 < len(b); at++ {
		if b[at+frameHead] != 1<<3|varint { // a record's first byte
			continue
		}
		first, size, ok := frameAt(b[at:])
		if !ok {
			continue
		}
		second, _, ok := frameAt(b[at+size:])
		if ok && second.kind != sumRecord && second.follows(first.sum) {
			return true
		}
	}
	return false
}

// frameAt reads the whole frame at the beginning of b, and returns its length.
func frameAt(b []byte) (r record, size int, ok bool) {
	if len(b) < frameHead {
		return r, 0, false
	}
	length, padding, ok := frameSize(binary.LittleEndian.Uint64(b))
	if !ok || length == 0 || length+padding > int64(len(b)-frameHead) {
		return r, 0, false
	}
	r, err := parseRecord(b[frameHead : frameHead+length])
	return r, int(frameHead + length + padding), err == nil
}

// torn reports whether a sector that the frame covers was never written. offset is the
// frame's place in its file.
func torn(frame []byte, offset int64) bool {
	for len(frame) > 0 {
		n := min(int64(len(frame)), sectorSize-offset%sectorSize)
		if zeros(frame[:n]) {
			return true
		}
		frame, offset = frame[n:], offset+n
	}
	return false
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
