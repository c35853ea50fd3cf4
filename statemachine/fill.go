package statemachine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"copse/statemachine/auth"
	"copse/statemachine/portable"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// filler writes nodes into a new store.
type filler struct {
	m *Machine
	writer
	meta   meta
	values tree.Index // large values so far
	events eventRecord
	json   []byte
	key    []byte
	rec    []byte
}

// foreignValue begins the numbers of the values that Fill writes. They stand in for the index of the
// change that wrote a value, which no file has, and no index comes so far.
const foreignValue = 1 << 63

// Fill writes the whole of a file into new stores: machines are those of all shards, the
// first of which has the users and roles, and holds nodes only if it is the only one. change may
// change each node before. Renew keeps the events or not. What is written is certain, and durable, only after
// Renew, which has to follow; if Fill fails, the stores are good for nothing.
func Fill(machines []*Machine, r *portable.Reader, change func(*tree.Node)) (err error) {
	data := machines
	if len(machines) > 1 {
		data = machines[1:]
	}
	var fillers []*filler
	for _, m := range machines {
		if m.meta != (meta{}) {
			return fmt.Errorf("%s holds something already", m.home.dir)
		}
		f := &filler{m: m, writer: writer{home: m.home, db: m.store.db, batch: m.store.db.NewBatch()}}
		defer f.batch.Close()
		fillers = append(fillers, f)
	}
	nodes := fillers[len(fillers)-len(data):]
	var users []*auth.User
	var roles []*auth.Role
	for {
		it, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return finish(fillers, r.Header(), users, roles)
		case err != nil:
			return err
		case it.Node != nil:
			change(it.Node)
			if err := nodes[tree.Slot(it.Node.Key, len(nodes))].put(it.Node); err != nil {
				return err
			}
		case it.Event != nil:
			if err := nodes[tree.Slot(it.Event.Node.Key, len(nodes))].event(it.Event); err != nil {
				return err
			}
		case it.User != nil:
			users = append(users, it.User)
		case it.Role != nil:
			roles = append(roles, it.Role)
		}
	}
}

// put writes a node, as view.Put does.
func (f *filler) put(n *tree.Node) error {
	f.meta.counts.put(n, nil)
	if hasLargeValue(n) {
		f.values++
		n.Written = foreignValue + f.values
		if err := f.setValue(n.Written, n.Value); err != nil {
			return err
		}
	}
	f.key = appendNodeKey(f.key[:0], n.Key)
	f.rec = appendStoredNode(f.rec[:0], n)
	if err := f.batch.Set(f.key, f.rec, nil); err != nil {
		return err
	}
	if n.Expires != 0 {
		f.key = appendExpiryKey(f.key[:0], n.Expires, n.Key)
		if err := f.batch.Set(f.key, nil, nil); err != nil {
			return err
		}
	}
	if f.batch.Len() < recoverBatch {
		return nil
	}
	return f.commit()
}

// event writes an event into the window. Values of its own go when it does.
func (f *filler) event(e *tree.Event) error {
	for _, n := range []*tree.Node{&e.Node, &e.Prev} {
		if !hasLargeValue(n) {
			continue
		}
		f.values++
		n.Written = foreignValue + f.values
		drop := appendDrop(nil, len(n.Value))
		if err := firstError(f.setValue(n.Written, n.Value), f.batch.Set(appendDropKey(nil, e.Index(), n.Written), drop, nil)); err != nil {
			return err
		}
	}
	f.json = tree.AppendEvent(f.json[:0], e)
	if f.events.add(e, len(f.json)); f.events.size < recordBytes {
		return nil
	}
	return f.endRecord()
}

// endRecord is view.endRecord.
func (f *filler) endRecord() error {
	r := &f.events
	if len(r.data) == 0 {
		return nil
	}
	binary.BigEndian.PutUint64(r.data, r.size)
	f.meta.windowBytes += r.size
	if f.meta.oldest == 0 {
		f.meta.oldest = r.first
	}
	err := f.batch.Set(appendEventKey(nil, r.first), r.data, nil)
	r.data, r.size = r.data[:0], 0
	return firstError(err, f.commit())
}

func (f *filler) commit() error {
	err := f.batch.Commit(pebble.NoSync)
	f.batch.Reset()
	return err
}

// finish writes what is beside the nodes, and makes the stores' states the machines'.
func finish(fillers []*filler, h portable.Header, users []*auth.User, roles []*auth.Role) error {
	state := auth.NewState(h.AuthEnabled, users, roles)
	first := fillers[0].batch
	err := first.Set(authKey, state.AppendFlag(nil), nil)
	for _, u := range users {
		err = firstError(err, first.Set(append([]byte{userPrefix}, u.Name...), u.Append(nil), nil))
	}
	for _, r := range roles {
		err = firstError(err, first.Set(append([]byte{rolePrefix}, r.Name...), r.Append(nil), nil))
	}
	for _, f := range fillers {
		f.meta.last, f.meta.trimmed = h.Index, h.Window
		err = firstError(err, f.endRecord(), f.batch.Set(metaKey, f.meta.append(nil), nil), f.commit())
		f.m.meta = f.meta
	}
	fillers[0].m.shared.auth.set(state)
	return err
}
