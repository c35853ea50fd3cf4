package tree

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// With several shards the tree is spread over slots, counted from 0: each is the
// place of one data shard among them. docs/SHARDS.md has the rules.

// Slot returns which of the slots key lives in: by its top-level name, whose
// hash never changes. The root counts as the empty name.
func Slot(key string, slots int) int {
	name, _, _ := strings.Cut(strings.TrimPrefix(key, "/"), "/")
	return slotOf(name, slots)
}

func slotOf[S string | []byte](name S, slots int) int {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3 // FNV-1a, 64 bits
	h := uint64(offset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	// Its lowest bits are weak: they depend on the bytes' lowest bits alone.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return int(h % uint64(slots))
}

// InOrderName is the name that a create in order makes of its index.
func InOrderName(at Index) string { return fmt.Sprintf("%020d", at) }

// NextNamed returns the first index from from on whose in-order name belongs to
// the slot.
func NextNamed(from Index, slot, slots int) Index {
	for slotOf(InOrderName(from), slots) != slot {
		from++
	}
	return from
}

// Range is a range of indexes, both ends included.
type Range struct{ First, Last Index }

// AskID names one ask for a range of indexes, for ever: the replica that asks, a
// number drawn when its actor started, and a count.
type AskID struct{ Replica, Nonce, Number uint64 }

// Ask asks the order shard for Count indexes for the slot. Those for Root are for
// creates in order in the root, so their names belong to the slot.
type Ask struct {
	ID    AskID
	Slot  int
	Count int
	Root  bool
}

// Grant is the answer to an Ask.
type Grant struct {
	ID    AskID
	Slot  int
	Range Range
}

// Of the command OpAsk, Value holds the asks, each:
//
//	replica, nonce, number  8 bytes each, little-endian
//	slot, count             uvarint
//	root                    1 byte
//
// PrevIndex is the number of slots.

// AskCommand returns the command that puts asks to the order shard.
func AskCommand(slots int, asks ...Ask) Command {
	var b []byte
	for _, a := range asks {
		b = binary.LittleEndian.AppendUint64(b, a.ID.Replica)
		b = binary.LittleEndian.AppendUint64(b, a.ID.Nonce)
		b = binary.LittleEndian.AppendUint64(b, a.ID.Number)
		b = binary.AppendUvarint(b, uint64(a.Slot))
		b = binary.AppendUvarint(b, uint64(a.Count))
		root := byte(0)
		if a.Root {
			root = 1
		}
		b = append(b, root)
	}
	return Command{Op: OpAsk, Key: "/", Value: b, PrevIndex: Index(slots)}
}

// CloseCommand returns the command that settles all that was handed out to a shard
// up to h.
func CloseCommand(h Index) Command { return Command{Op: OpClose, Key: "/", PrevIndex: h} }
