package tree

import (
	"encoding/binary"
	"errors"
	"strings"
)

// With several shards the tree is spread over slots, counted from 0: each is the
// place of one data shard among them. docs/SHARDS.md has the rules.

// MaxSlots is how many slots there may be.
const MaxSlots = 64

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

// inOrderDigits is how many digits the name of a create in order has.
const inOrderDigits = 20

// InOrderName is the name that a create in order makes of its index.
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

// NextNamed returns the first index from from on whose in-order name belongs to
// the slot.
func NextNamed(from Index, slot, slots int) Index {
	for ; ; from++ {
		if name := inOrderName(from); slotOf(name[:], slots) == slot {
			return from
		}
	}
}

// Range is a range of indexes, both ends included.
type Range struct{ First, Last Index }

// RequestID names a request of a member's actor for good: the replica whose actor it
// is, a number drawn when that actor started, and a count of its requests.
type RequestID struct{ Replica, Nonce, Number uint64 }

// Ask asks the order shard for Count indexes for the slot. Those for Root are for
// creates in order in the root, so their names belong to the slot.
type Ask struct {
	ID    RequestID
	Slot  int
	Count int
	Root  bool
}

// Grant is the answer to an Ask.
type Grant struct {
	ID    RequestID
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

// AskLimit is how many indexes one ask may be for.
const AskLimit = 1 << 16

var errAsks = errors.New("the asks for indexes are cut short or damaged")

// ReadAsks reads the asks that c, made by AskCommand, puts. Whether they can be
// granted it doesn't look at.
func ReadAsks(c *Command) ([]Ask, error) {
	var asks []Ask
	d := Decoder{data: c.Value}
	for len(d.data) > 0 {
		a := Ask{
			ID:    RequestID{Replica: d.Fixed64(), Nonce: d.Fixed64(), Number: d.Fixed64()},
			Slot:  int(min(d.Uvarint(), 1<<30)),
			Count: int(min(d.Uvarint(), 1<<30)),
		}
		root := d.Byte()
		a.Root = root == 1
		if d.failed || root > 1 {
			return nil, errAsks
		}
		asks = append(asks, a)
	}
	return asks, nil
}

// Grant returns the range that the ask gets when counter is the last index that
// was handed out; ok is false if it can't be granted.
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

// CloseCommand returns the command that settles all that was handed out to a shard
// up to h.
func CloseCommand(h Index) Command { return Command{Op: OpClose, Key: "/", PrevIndex: h} }
