package statemachine

import (
	"fmt"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// Walk calls visit for each node of the tree at one moment, hidden ones too, each directory
// before the nodes below it, until visit fails. It returns the tree's index at that moment.
func (m *Machine) Walk(visit func(*tree.Node) error) (at tree.Index, err error) {
	p, err := m.pin()
	if err != nil {
		return 0, err
	}
	defer func() { err = firstError(err, p.unpin()) }()
	meta, err := loadMeta(p.snap)
	if err != nil {
		return 0, err
	}
	if err := walk(p.snap, visit); err != nil {
		m.end.ifDamaged(err)
		return 0, fmt.Errorf("read all nodes: %w", err)
	}
	return meta.last, nil
}

func walk(from pebble.Reader, visit func(*tree.Node) error) (err error) {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{nodePrefix}, UpperBound: []byte{nodePrefix + 1}})
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		key, err := appendKey(nil, it.Key()[1:])
		if err != nil {
			return err
		}
		rec, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		n, err := readStoredNode(from, string(key), rec)
		if err == nil {
			err = visit(&n)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}
