package statemachine_test

import (
	"bytes"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"
	"copse/statemachine/txn"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// FuzzUpdate applies arbitrary bytes as raft entries to every kind of shard: two
// replicas must come to the same, and an entry that stops one leaves no trace.
func FuzzUpdate(f *testing.F) {
	set := tree.Command{Op: tree.OpSet, Key: keyIn(1), Value: []byte("v"), Now: 1, Expires: 5}
	expire := tree.Command{Op: tree.OpExpire, Now: 9, Limit: 3}
	root := tree.Command{Op: tree.OpCreateInOrder, Key: "/", Value: []byte("v")}
	plain := func(c tree.Command) []byte { return tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c) }
	ordered := func(r tree.Range, root bool, list ...tree.Command) []byte {
		b := orderedBatch{origin: replica, r: r, root: root, list: list}
		return b.entry(1).Cmd
	}
	f.Add(plain(set), plain(expire))
	f.Add(plain(founding(7, 1, 2)), plain(tree.AskCommand(slots, tree.Ask{Slot: 1, Count: 3}, tree.Ask{Slot: 2, Count: 2, Root: true})))
	f.Add(ordered(tree.Range{First: 5, Last: 9}, false, set, expire), plain(tree.CloseCommand(20)))
	f.Add(ordered(tree.Range{First: 5, Last: 99}, true, root, root, set), ordered(tree.Range{First: 3, Last: 9}, false, set))
	move := txn.Txn{Ops: []tree.Command{set, {Op: tree.OpRename, Key: keyIn(1), PrevValue: keyIn(1) + "!", Now: 1}}}.Command(1)
	f.Add(plain(move), ordered(tree.Range{First: 5, Last: 2000}, false, move, move))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		for _, o := range []statemachine.Options{{Replica: replica, Window: window, WindowBytes: 1 << 30}, dataOptions(1), orderOptions()} {
			var images [2][]byte
			for i := range images {
				m := mustOpen(t, o, "/shard", vfs.NewMem())
				for at, cmd := range [][]byte{one, two} {
					before := dump(t, m)
					if _, err := m.Update([]sm.Entry{{Index: uint64(at + 1), Cmd: cmd}}); err != nil {
						if !bytes.Equal(before, dump(t, m)) {
							t.Fatalf("%v, and yet something was applied", err)
						}
						break
					}
				}
				images[i] = dump(t, m)
				mustClose(t, m)
			}
			if !bytes.Equal(images[0], images[1]) {
				t.Fatal("two replicas differ")
			}
		}
	})
}
