package tree

import (
	"encoding/binary"
	"errors"
)

// With several data shards, the tree is spread over slots, numbered from 0, one for
// each data shard. docs/SHARDS.md has the rules.

// MaxSlots is the largest number of slots.
const MaxSlots = 64

// Slot returns the slot of key, out of slots of them. It is decided by a hash of the
// key's top-level name, which is part of the format on disk.
func Slot(key string, slots int) int {
	return slotOf(TopName(key), slots)
}

func slotOf[S string | []byte](name S, slots int) int {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3 // FNV-1a, 64 bits
	h := uint64(offset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	// FNV's lowest bits are weak, as they depend only on the bytes' lowest bits: mix.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return int(h % uint64(slots))
}

// inOrderDigits is the number of digits in the name that an in-order create makes.
const inOrderDigits = 20

// InOrderName returns the name of the node that an in-order create makes at the index.
func InOrderName(at Index) string {
	name := inOrderName(at)
	return string(name[:])
}

func inOrderName(at Index) (name [inOrderDigits]byte) {
	for i := inOrderDigits - 1; i >= 0; i-- {
		name[i] = byte('0' + at%10)
		at /= 10
	}
	return name
}

// NextNamed returns the first index, from or later, whose in-order name belongs to
// the slot.
func NextNamed(from Index, slot, slots int) Index {
	for ; ; from++ {
		if name := inOrderName(from); slotOf(name[:], slots) == slot {
			return from
		}
	}
}

// Range is a range of indexes, including both ends.
type Range struct{ First, Last Index }

// RequestID identifies a request for ever: the replica whose actor sent it, a random
// number that the actor drew when it started, and the actor's count of its requests.
type RequestID struct{ Replica, Nonce, Number uint64 }

// Ask asks the order shard for Count indexes for the slot. With Root, they are for
// in-order creates in the root, so their names must belong to the slot.
type Ask struct {
	ID    RequestID
	Slot  int
	Count int
	Root  bool
}

// Grant is the order shard's answer to the Ask with the same ID.
type Grant struct {
	ID    RequestID
	Slot  int
	Range Range
}

// The Value of an OpAsk command holds the asks, each encoded as
//
//	replica, nonce, number  8 bytes each, little-endian
//	slot, count             uvarint
//	root                    1 byte, 0 or 1
//
// and its PrevIndex the number of slots.

// AskCommand returns the command that sends asks to the order shard.
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

// AskLimit is the largest number of indexes that one ask can get.
const AskLimit = 1 << 16

var errAsks = errors.New("asks for indexes are truncated or damaged")

// ReadAsks returns the asks in c, which AskCommand made. It doesn't check whether they
// can be granted. The error says that they are damaged.
func ReadAsks(c *Command) ([]Ask, error) {
	var asks []Ask
	d := NewDecoder(c.Value)
	for d.Left() > 0 {
		a := Ask{
			ID:    RequestID{Replica: d.Fixed64(), Nonce: d.Fixed64(), Number: d.Fixed64()},
			Slot:  int(min(d.Uvarint(), 1<<30)),
			Count: int(min(d.Uvarint(), 1<<30)),
		}
		root := d.Byte()
		a.Root = root == 1
		if d.Failed() || root > 1 {
			return nil, errAsks
		}
		asks = append(asks, a)
	}
	return asks, nil
}

// Grant returns the range that the ask gets if counter is the last index handed out
// so far, and false if the ask is invalid. A Root ask's range contains Count indexes
// whose names belong to the slot, and others between them.
func (a *Ask) Grant(counter Index, slots int) (r Range, ok bool) {
	if a.Slot < 0 || a.Slot >= slots || a.Count < 1 || a.Count > AskLimit {
		return Range{}, false
	}
	r = Range{First: counter + 1, Last: counter + Index(a.Count)}
	if a.Root {
		r.Last = counter
		for range a.Count {
			r.Last = NextNamed(r.Last+1, a.Slot, slots)
		}
	}
	return r, true
}

// CloseCommand returns the command that settles all indexes up to h that were handed
// out to a data shard: those not used so far never will be.
func CloseCommand(h Index) Command { return Command{Op: OpClose, Key: "/", PrevIndex: h} }
