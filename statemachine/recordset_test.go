package statemachine

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A set holds what it was given last, or nothing; with room for all, it holds all.
func TestRecordSetHoldsWhatItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytesInAll := rapid.IntRange(0, 8<<10).Draw(t, "memory")
		s := newRecordSet(make([]byte, bytesInAll))
		hashes := rapid.Uint32Range(1, 40).Draw(t, "hashes") // few: some keys have the same
		spread := rapid.SampledFrom([]uint32{1, 2, 1 << 26}).Draw(t, "spread")
		hash := func(key string) uint32 { return uint32(key[1]) * 7 % hashes * spread }
		given, hidden := map[string][]byte{}, map[string]bool{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			key := "/" + string(rune('a'+rapid.IntRange(0, 25).Draw(t, "key")))
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				s.remove(hash(key), key)
				delete(given, key)
			case 1:
				s.hide(hash(key), key)
				hidden[key] = s.holds(hash(key), key)
			case 2:
				if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
					s.clear()
					clear(given)
				}
			default:
				rec := bytes.Repeat([]byte{byte('0' + len(given))}, rapid.IntRange(0, 200).Draw(t, "length"))
				before, room := s.count, s.hasRoom(key, rec)
				if !s.admits(key, rec) {
					continue
				}
				if s.set(hash(key), key, rec); room && s.count < before {
					t.Fatal("a record has gone though there was room")
				}
				given[key], hidden[key] = rec, false
				if got := s.get(hash(key), key); !bytes.Equal(got, rec) || got == nil {
					t.Fatalf("%q was set to %q, and is %q", key, rec, got)
				}
			}
			held, size := 0, 0
			for key := range given {
				got := s.get(hash(key), key)
				if got != nil && (hidden[key] || !bytes.Equal(got, given[key])) {
					t.Fatalf("%q was set to %q, and is %q; hidden: %v", key, given[key], got, hidden[key])
				}
				if _, at := s.find(hash(key), key); at > 0 {
					held++
					size += s.size(at)
				}
			}
			if s.used() != size+s.garbage {
				t.Fatalf("%d bytes are used, by records of %d bytes and %d bytes of garbage", s.used(), size, s.garbage)
			}
			if held != s.count {
				t.Fatalf("%d records are found, and %d counted", held, s.count)
			}
		}
	})
}

// The oldest go first, and what is replaced keeps its place.
func TestRecordSetLetsTheOldestGo(t *testing.T) {
	const last = 3000
	value := make([]byte, 100)
	key := func(i int) string { return fmt.Sprintf("/%04d", i) }
	s := newRecordSet(make([]byte, 64<<10))
	for i := range last {
		s.set(uint32(i)*7919, key(i), value)
		if i%3 == 0 {
			s.set(uint32(i)*7919, key(i), value[1:])
		}
	}
	fit := (len(s.memory) - s.start) / entrySize(key(0), value)
	for i := range last {
		if held := s.get(uint32(i)*7919, key(i)) != nil; held != (i >= last-fit) {
			t.Errorf("entry %d of %d, of which %d fit: held is %v", i, last, fit, held)
		}
	}
}

// What comes and goes leaves its room to others, and touches little memory, beside entries that stay.
func TestRecordSetGivesRoomBack(t *testing.T) {
	const stay, last = 10, 30_000
	value := make([]byte, 100)
	key := func(i int) string { return fmt.Sprintf("/%05d", i) }
	s := newRecordSet(make([]byte, 1<<20))
	furthest := 0
	for i := range last {
		if !s.hasRoom(key(i), value) {
			t.Fatalf("no room for entry %d beside %d others", i, s.count)
		}
		s.set(uint32(i)*7919, key(i), value)
		if i >= 2*stay {
			s.remove(uint32(i-stay)*7919, key(i-stay))
		}
		furthest = max(furthest, s.to-s.start)
	}
	for i := range stay {
		if s.get(uint32(i)*7919, key(i)) == nil {
			t.Errorf("entry %d has gone", i)
		}
	}
	if most := 10 * 3 * stay * entrySize(key(0), value); furthest > most {
		t.Errorf("%d bytes of the ring were used, want at most %d", furthest, most)
	}
}

// What has left a full ring from its beginning is room, before the ring begins anew.
func TestRecordSetHasRoomAtItsStart(t *testing.T) {
	value := make([]byte, 100)
	key := func(i int) string { return fmt.Sprintf("/%05d", i) }
	s := newRecordSet(make([]byte, 64<<10))
	full := 0
	for ; s.hasRoom(key(full), value); full++ {
		s.set(uint32(full), key(full), value)
	}
	gone := full * 2 / 3
	for i := range gone {
		s.remove(uint32(i), key(i))
	}
	for i := full; i < full+gone/4; i++ {
		if !s.hasRoom(key(i), value) {
			t.Fatalf("no room for entry %d, though %d of %d have gone", i, gone, full)
		}
		if s.set(uint32(i), key(i), value); s.count != i+1-gone {
			t.Fatalf("%d entries with entry %d, want %d", s.count, i, i+1-gone)
		}
	}
}
