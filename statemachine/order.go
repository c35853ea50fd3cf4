package statemachine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// handOut executes OpAsk: each ask, in order, gets the next indexes. An invalid ask,
// which no actor would send, gets none.
func (m *Machine) handOut(v *view, c *tree.Command, res *ApplyResult) (refused *tree.Error, err error) {
	if !m.place.order || c.PrevIndex != tree.Index(m.place.slots) {
		return &tree.Error{Code: tree.CodeRaftInternal, Cause: "this shard doesn't hand out indexes for so many", Index: v.meta.last}, nil
	}
	asks, err := tree.ReadAsks(c)
	if err != nil {
		return nil, err
	}
	handed := slices.Clone(v.handed) // v.handed is published already
	for i := range asks {
		a := &asks[i]
		r, ok := a.Grant(v.meta.last, m.place.slots)
		if !ok {
			continue
		}
		v.meta.last, handed[a.Slot] = r.Last, r.Last
		res.Grants = append(res.Grants, tree.Grant{ID: a.ID, Slot: a.Slot, Range: r})
	}
	v.handed = handed
	v.must(v.batch.Set(handedKey, appendHanded(nil, handed), nil))
	return nil, nil
}

func appendHanded(dst []byte, handed []tree.Index) []byte {
	for _, at := range handed {
		dst = binary.BigEndian.AppendUint64(dst, uint64(at))
	}
	return dst
}

func readHanded(rec []byte, slots int) ([]tree.Index, error) {
	if len(rec) != 8*slots {
		return nil, fmt.Errorf("%w: indexes handed out: %d bytes for %d shards", ErrDamaged, len(rec), slots)
	}
	handed := make([]tree.Index, slots)
	for i := range handed {
		handed[i] = tree.Index(binary.BigEndian.Uint64(rec[8*i:]))
	}
	return handed, nil
}

func loadHanded(from pebble.Reader, slots int) ([]tree.Index, error) {
	rec, closer, err := from.Get(handedKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return make([]tree.Index, slots), nil
	}
	if err != nil {
		return nil, err
	}
	handed, err := readHanded(rec, slots)
	return handed, errors.Join(err, closer.Close())
}
