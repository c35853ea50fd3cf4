package statemachine

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// recordSet holds the records of keys in memory of a fixed size, without pointers: the garbage collector has
// nothing to follow, however many there are. It is a ring of entries, of which the oldest go when there is no
// room for a new one, and a hash table with chains, whose links are in the entries. The table grows by one chain at a time
// (linear hashing), so nobody waits for all to be moved, and little memory is touched as long as there are few.
type recordSet struct {
	memory []byte // the links to the first of each chain, of linkBytes each, and then, from start on, the ring
	start  int
	chains int // in use
	count  int // entries in chains
	// Entries lie from from to to, or, if end isn't 0, from from to end and then from start to to.
	from, to, end int
	garbage       int // bytes of entries that have been removed
}

// An entry:
//
//	link     4 bytes: to the next one of its chain
//	hash     4 bytes: of the key
//	size     4 bytes: of the entry
//	key      2 bytes: its length
//	record   2 bytes: its length; hiddenRecord: there is none to be had for now; removedRecord: the entry is garbage
//	key, record, and what is left of the entry
//
// Garbage is in no chain. A link is where an entry begins in the memory, in units of
// entryAlign; 0: the chain ends. Numbers are in the machine's byte order.
const (
	linkBytes     = 4
	entryHead     = 16
	entryAlign    = 8
	hiddenRecord  = math.MaxUint16
	removedRecord = hiddenRecord - 1

	// A link to a chain for each linkShare bytes: more than a small entry has, and the chains
	// of smaller ones are longer.
	linkShare = 128
)

var native = binary.NativeEndian

// newRecordSet returns a set in the memory given, which is all zero.
func newRecordSet(memory []byte) recordSet {
	memory = memory[:min(len(memory), math.MaxUint32*entryAlign)/entryAlign*entryAlign]
	start := min(len(memory), max(entryAlign, len(memory)/linkShare*linkBytes/entryAlign*entryAlign))
	return recordSet{memory: memory, start: start, chains: 1, from: start, to: start}
}

func entrySize(key string, rec []byte) int {
	return (entryHead + len(key) + len(rec) + entryAlign - 1) / entryAlign * entryAlign
}

// admits reports whether the set can hold the record.
func (s *recordSet) admits(key string, rec []byte) bool {
	return len(key) <= math.MaxUint16 && len(rec) < removedRecord && entrySize(key, rec) <= len(s.memory)-s.start
}

// hasRoom reports whether the record fits without another having to go.
func (s *recordSet) hasRoom(key string, rec []byte) bool {
	size := entrySize(key, rec)
	if s.end > 0 {
		return s.admits(key, rec) && s.to+size <= s.from
	}
	return s.admits(key, rec) && (s.to+size <= len(s.memory) || s.start+size <= s.from)
}

// get returns the record of key, nil if there is none. It is valid until the set is changed.
func (s *recordSet) get(hash uint32, key string) []byte {
	if _, at := s.find(hash, key); at > 0 {
		if n := native.Uint16(s.memory[at+14:]); n != hiddenRecord {
			rec := s.memory[at+entryHead+len(key):]
			return rec[:n:n]
		}
	}
	return nil
}

// holds reports whether there is a record of key, hidden or not.
func (s *recordSet) holds(hash uint32, key string) bool {
	_, at := s.find(hash, key)
	return at > 0
}

// hide has get return nil for key until it is set again. Then it has its place still.
func (s *recordSet) hide(hash uint32, key string) {
	if _, at := s.find(hash, key); at > 0 {
		native.PutUint16(s.memory[at+14:], hiddenRecord)
	}
}

func (s *recordSet) remove(hash uint32, key string) {
	if link, at := s.find(hash, key); at > 0 {
		s.discard(link, at)
		s.tidy()
	}
}

// set takes in a record that the set admits, in the place of the one that it has of key if it fits there.
func (s *recordSet) set(hash uint32, key string, rec []byte) {
	size := entrySize(key, rec)
	if link, at := s.find(hash, key); at > 0 {
		if old := s.size(at); size <= old && old <= 2*size {
			s.write(at, key, rec)
			return
		}
		s.discard(link, at)
		s.tidy()
	}
	at := s.allot(size)
	native.PutUint32(s.memory[at+4:], hash)
	native.PutUint32(s.memory[at+8:], uint32(size))
	s.write(at, key, rec)
	s.link(s.chain(hash), at)
	if s.count > s.chains && (s.chains+1)*linkBytes <= s.start {
		s.grow()
	}
}

func (s *recordSet) write(at int, key string, rec []byte) {
	native.PutUint16(s.memory[at+12:], uint16(len(key)))
	native.PutUint16(s.memory[at+14:], uint16(len(rec)))
	copy(s.memory[at+entryHead:], key)
	copy(s.memory[at+entryHead+len(key):], rec)
}

// clear removes everything.
func (s *recordSet) clear() {
	clear(s.memory[:min(s.chains*linkBytes, s.start)])
	s.chains, s.count, s.from, s.to, s.end, s.garbage = 1, 0, s.start, s.start, 0, 0
}

// allot returns where an entry of so many bytes may be written. It goes back to the start as soon as there is
// more room there than all entries take, so a few that come and go don't touch all of the memory.
func (s *recordSet) allot(size int) (at int) {
	for {
		limit := len(s.memory)
		if s.end > 0 {
			limit = s.from
		}
		early := s.end == 0 && s.from-s.start >= max(size, s.to-s.from)
		switch {
		case s.to+size <= limit && !early:
			at, s.to = s.to, s.to+size
			return at
		case s.end > 0:
			s.evict()
		default:
			s.end, s.to = s.to, s.start
		}
	}
}

// evict removes the oldest entry.
func (s *recordSet) evict() {
	old := s.from
	if s.removed(old) {
		s.garbage -= s.size(old)
	} else {
		link := s.chain(s.hash(old))
		for s.next(link) != old {
			link = s.next(link)
		}
		s.unlink(link, old)
	}
	if s.from += s.size(old); s.from == s.end {
		s.from, s.end = s.start, 0
	}
	if s.end == 0 && s.from == s.to {
		s.from, s.to = s.start, s.start
	}
}

// discard makes garbage of the entry that the link leads to.
func (s *recordSet) discard(link, at int) {
	s.unlink(link, at)
	native.PutUint16(s.memory[at+14:], removedRecord)
	s.garbage += s.size(at)
}

// tidy gives room back while more than half of what lies in the ring is garbage: the oldest entry goes, or moves to the
// end. Two for each that becomes garbage are enough for that to last, and nobody waits for more.
func (s *recordSet) tidy() {
	for range 2 {
		if 2*s.garbage <= s.used() {
			return
		}
		old := s.from
		kept, size := !s.removed(old), s.size(old)
		if s.evict(); kept {
			at := s.allot(size) // there is room: its own
			copy(s.memory[at:at+size], s.memory[old:old+size])
			s.link(s.chain(s.hash(at)), at)
		}
	}
}

// used is how many bytes lie in the ring, garbage included.
func (s *recordSet) used() int {
	if s.end > 0 {
		return s.end - s.from + s.to - s.start
	}
	return s.to - s.from
}

func (s *recordSet) removed(at int) bool { return native.Uint16(s.memory[at+14:]) == removedRecord }

func (s *recordSet) hash(at int) uint32 { return native.Uint32(s.memory[at+4:]) }
func (s *recordSet) size(at int) int    { return int(native.Uint32(s.memory[at+8:])) }

// find returns where the entry of key begins, 0 if there is none, and where the link to it is.
func (s *recordSet) find(hash uint32, key string) (link, at int) {
	if s.count == 0 {
		return 0, 0
	}
	for link = s.chain(hash); ; link = at {
		if at = s.next(link); at == 0 || s.hash(at) == hash && s.hasKey(at, key) {
			return link, at
		}
	}
}

func (s *recordSet) hasKey(at int, key string) bool {
	n := int(native.Uint16(s.memory[at+12:]))
	return string(s.memory[at+entryHead:][:n]) == key
}

// chain returns where the link to the first entry of the hash's chain is.
func (s *recordSet) chain(hash uint32) int {
	mask := 1<<bits.Len(uint(s.chains-1)) - 1
	n := int(hash) & mask
	if n >= s.chains { // yet to be divided
		n &= mask >> 1
	}
	return n * linkBytes
}

// grow divides a chain in two.
func (s *recordSet) grow() {
	added := s.chains
	mask := 1<<bits.Len(uint(added)) - 1
	s.chains++
	for link := (added & (mask >> 1)) * linkBytes; s.next(link) > 0; {
		at := s.next(link)
		if int(s.hash(at))&mask != added {
			link = at
			continue
		}
		s.unlink(link, at)
		s.link(added*linkBytes, at)
	}
}

// next returns the entry that the link at an offset leads to.
func (s *recordSet) next(link int) int { return int(native.Uint32(s.memory[link:])) * entryAlign }

func (s *recordSet) point(link, at int) { native.PutUint32(s.memory[link:], uint32(at/entryAlign)) }

// link puts an entry into a chain, behind the link.
func (s *recordSet) link(link, at int) {
	s.point(at, s.next(link))
	s.point(link, at)
	s.count++
}

// unlink takes the entry that the link leads to out of its chain.
func (s *recordSet) unlink(link, at int) {
	s.point(link, s.next(at))
	s.count--
}
