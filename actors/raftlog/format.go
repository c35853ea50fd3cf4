package raftlog

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// Limits of the format.
//
//	sector                        512 bytes, which a disk writes whole or not at all
//	segment                       at most 4 GiB; 2 sectors at least
//	frame                         at most a segment, less its header and its last sector
//	bytes of a frame for others   12 of 512, and 4
//
// A segment is a file of sectors. Its size is fixed when it is made; it holds zeros
// then, or what the file held in an earlier life.
//
//	| header | frame 0 | frame 1 |  …  | last frame | unused … |
//
// A frame is one write to the log (a long one several), which one sync follows. It begins
// with a sector and ends with one; the next write begins only when the sync has returned.
// Every sector of a frame can be judged by itself:
//
//	 0          4                                                       500
//	+----------+-----------------------------------------------------------+
//	| length   | content, or zeros behind its end                          |  first sector
//	+----------+-----------------------------------------------------------+
//	| content, or zeros behind its end                                     |  each other sector
//	+----------+----------+------------------------------------------------+
//	| salt     | chain    | check                                             all of them, at 500
//	+----------+----------+---------+
//	 500        504        508       512
//
//	length  of the frame's content in bytes, little-endian as all numbers here
//	salt    drawn at random for each life of a file, never zero
//	chain   CRC-32C that runs on over all frames of the segment before this one
//	check   CRC-32C of the 508 bytes before it, which starts from the sector's number
//
// So a sector at its place is one of these:
//
//	missing  all zero, or sound with another salt: it was never written in this life
//	present  sound, with this life's salt
//	damaged  anything else, since no crash leaves it
//
// and the chain of a present one says which frame it belongs to: sectors of two frames
// never carry the same.
//
// The header is a frame of one sector with the chain zero. The chain of frame 0
// starts with the header's check.
//
// What a crash can leave, and what the next start does with it:
//
//	in a write           any of the last frame's sectors are missing, and all behind it.
//	                     The frame was not acknowledged. Where all are present it stays,
//	                     otherwise those that are present are wiped. One log line says so.
//	before its sync      as in a write. What stays is written and synced once more before
//	                     anything builds on it, since only the page cache may have it.
//	while wiping         as before: fewer sectors are present
//	rotating, 1          NNN.new is there, in any state: it is removed
//	rotating, 2          segment N+1 is there, whole, with its header and its head and
//	                     nothing else, and N doesn't end with a frame that names it:
//	                     N+1 is removed, and N goes on
//	rotating, 3          N ends with a frame that names N+1. Files of segments that the
//	                     head of N+1 doesn't list may be there still: they are removed
//
// Nothing else comes from a crash. So these are damage: a damaged sector anywhere, also
// in the unused rest; a present one of another frame behind a missing one; a segment that
// isn't the last and doesn't end with a frame that names the next; a file whose size is
// not what its header says; a file that is listed and isn't there.
const (
	sectorSize  = 512
	payloadSize = 500
	saltAt      = payloadSize
	chainAt     = saltAt + 4
	checkAt     = chainAt + 4

	lengthSize  = 4
	maxSectors  = 1<<32/sectorSize - 1
	formatMagic = "copse raft log 1"
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	noSector   [sectorSize]byte
	le         = binary.LittleEndian
)

// sectorsOf returns how many sectors a frame with so much content has.
func sectorsOf(content int) int64 {
	return (int64(content) + lengthSize + payloadSize - 1) / payloadSize
}

// appendFrame appends a frame with the content, for the sector number at, and returns the
// chain behind it too.
func appendFrame(dst, content []byte, salt, chain uint32, at int64) ([]byte, uint32) {
	f := frameWriter{content: content, salt: salt, before: chain, chain: chain, at: at, sectors: sectorsOf(len(content))}
	return f.append(dst, f.sectors), f.chain
}

// frameWriter makes the sectors of a frame, some after the other.
type frameWriter struct {
	content []byte
	salt    uint32
	before  uint32 // the chain that its sectors carry
	chain   uint32 // and the one behind those that are made
	at      int64  // the number of the first
	sectors int64
	made    int64
}

// append appends the next n sectors, or those that are left.
func (f *frameWriter) append(dst []byte, n int64) []byte {
	n = min(n, f.sectors-f.made)
	begin := len(dst)
	dst = slices.Grow(dst, int(n)*sectorSize)[:begin+int(n)*sectorSize]
	for sector := dst[begin:]; len(sector) > 0; sector = sector[sectorSize:] {
		payload := sector[:payloadSize]
		from := f.made*payloadSize - lengthSize
		if f.made == 0 {
			le.PutUint32(payload, uint32(len(f.content)))
			payload, from = payload[lengthSize:], 0
		}
		clear(payload[copy(payload, f.content[from:]):])
		le.PutUint32(sector[saltAt:], f.salt)
		le.PutUint32(sector[chainAt:], f.before)
		le.PutUint32(sector[checkAt:], checkOf(sector, f.at+f.made))
		f.chain = runOn(f.chain, sector)
		f.made++
	}
	return dst
}

// checkOf is the check that a sector should carry at its place.
func checkOf(sector []byte, at int64) uint32 {
	return crc32.Update(uint32(at), castagnoli, sector[:checkAt])
}

// runOn is the chain with one sector more: its check stands for all of it.
func runOn(chain uint32, sector []byte) uint32 {
	if mutant.noChain {
		return chain
	}
	return crc32.Update(chain, castagnoli, sector[checkAt:sectorSize])
}

// condition is what a sector is found to be.
type condition int

const (
	damaged condition = iota
	missing
	present
)

// judge says what the sector number at of a life with that salt is, and which frame's, if
// it is present.
func judge(sector []byte, salt uint32, at int64) (c condition, chain uint32) {
	own := le.Uint32(sector[saltAt:])
	switch {
	case own == 0 && [sectorSize]byte(sector) == noSector:
		return missing, 0
	case own == 0 || le.Uint32(sector[checkAt:]) != checkOf(sector, at):
		return damaged, 0
	case own != salt:
		return missing, 0
	}
	return present, le.Uint32(sector[chainAt:])
}

// A header's content, behind its length:
//
//	magic (16) | number (8) | sectors (4) | chain at the end of the segment before (4)
const headerSize = len(formatMagic) + 16

type header struct {
	number  uint64
	sectors uint32
	before  uint32
}

func (h header) append(dst []byte) []byte {
	dst = append(dst, formatMagic...)
	dst = le.AppendUint64(dst, h.number)
	dst = le.AppendUint32(dst, h.sectors)
	return le.AppendUint32(dst, h.before)
}

// parseHeader reads the first sector of a file. It returns the file's salt too, and why it
// can't be read.
func parseHeader(sector []byte) (h header, salt uint32, reason string) {
	salt = le.Uint32(sector[saltAt:])
	if c, chain := judge(sector, salt, 0); c != present || chain != 0 {
		return h, 0, "this is not the header of a segment"
	}
	content := sector[lengthSize:payloadSize]
	if string(content[:len(formatMagic)]) != formatMagic || int(le.Uint32(sector)) != headerSize {
		return h, 0, "the segment is of another version of copse"
	}
	content = content[len(formatMagic):]
	return header{le.Uint64(content), le.Uint32(content[8:]), le.Uint32(content[12:])}, salt, ""
}
