package statemachine_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/auth"
	"copse/statemachine/portable"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// openShards opens new stores for so many data shards, the order shard's first if there are several.
func openShards(t rapid.TB, shards int) (machines []*statemachine.Machine) {
	o, fs := plainOptions(), vfs.NewMem()
	if shards > 1 {
		o.Slots, o.Slot = shards, statemachine.OrderSlot
		machines = append(machines, mustOpen(t, o, "order", fs))
	}
	for slot := range shards {
		o.Slot = slot
		machines = append(machines, mustOpen(t, o, string(rune('a'+slot)), fs))
	}
	return machines
}

func dataOf(machines []*statemachine.Machine) []*statemachine.Machine {
	return machines[min(1, len(machines)-1):]
}

// backup is the file of all shards.
func backup(t rapid.TB, machines []*statemachine.Machine, closed func(tree.Index) error) []byte {
	t.Helper()
	o := statemachine.BackupOptions{ClusterID: 7, Term: 3, Time: time.Unix(1e9, 0), CutOptions: statemachine.CutOptions{Closed: closed}}
	if len(machines) > 1 {
		o.Counter = machines[0].Index
	}
	b, err := statemachine.NewBackup(machines[0], dataOf(machines), o)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, b)
}

func fileOf(t rapid.TB, b *statemachine.Backup) (file []byte) {
	t.Helper()
	defer b.Close()
	for more := true; more; {
		part, again, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		file, more = append(file, part...), again
	}
	return file
}

// restore fills new stores from the file.
func restore(t rapid.TB, file []byte, shards int, bump tree.Index) []*statemachine.Machine {
	t.Helper()
	machines := openShards(t, shards)
	r, err := portable.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := statemachine.Fill(machines, r, func(*tree.Node) {}); err != nil {
		t.Fatal(err)
	}
	at := r.Header().Index + bump
	for _, m := range slices.Backward(machines) {
		if err := m.Renew(statemachine.Renewal{Members: []tree.Member{{ID: 1, PeerURLs: []string{"a"}}}, Shards: shards, TermBase: 4, Index: at}); err != nil {
			t.Fatal(err)
		}
	}
	return machines
}

func settled(tree.Index) error { return nil }

// linesOf are the lines between the header and the end.
func linesOf(t rapid.TB, file []byte) string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	return strings.Join(lines[1:len(lines)-2], "")
}

func closeAll(t rapid.TB, machines []*statemachine.Machine) {
	for _, m := range machines {
		mustClose(t, m)
	}
}

// What a backup holds is what was there, with whatever number of shards, and a restored store goes on as
// the first one does.
func TestBackupAndRestore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := openShards(rt, 1)[0]
		defer mustClose(rt, m)
		want := &model{}
		list := commands().Draw(rt, "commands")
		for i := range list {
			want.apply(&list[i])
		}
		entries := raftLog(rt, list)
		applySplit(rt, m, entries)
		users := &auth.Change{Op: auth.Init, Hash: "$2a$10$x"}
		if rapid.Bool().Draw(rt, "auth") {
			c := tree.Command{Op: tree.OpAuth, Key: "/", Value: users.Append(nil)}
			mustUpdate(rt, m, entries[len(entries)-1].Index+1, c)
		}
		file := backup(rt, []*statemachine.Machine{m}, nil)
		lines := linesOf(rt, file)
		if n := strings.Count(lines, `{"key`); n != len(want.store.Below("/")) {
			rt.Fatalf("%d nodes in\n%s\nwant %d", n, lines, len(want.store.Below("/")))
		}
		four := restore(rt, file, 4, 0)
		defer closeAll(rt, four)
		second := backup(rt, four, settled)
		if got := linesOf(rt, second); got != lines {
			rt.Fatalf("four shards have\n%s\nwant\n%s", got, lines)
		}
		one := restore(rt, second, 1, 0)
		defer closeAll(rt, one)
		if got := linesOf(rt, backup(rt, one, nil)); got != lines {
			rt.Fatalf("one shard has\n%s\nwant\n%s", got, lines)
		}
		if got := one[0].Auth(); got.Enabled != m.Auth().Enabled || len(got.ListedUsers()) != len(m.Auth().ListedUsers()) {
			rt.Fatalf("users are %+v", got)
		}
		if one[0].Nodes() != m.Nodes() || one[0].Expirations() != m.Expirations() || one[0].Index() != m.Index() {
			rt.Fatalf("%d nodes, %d expire, index %d; want %d, %d, %d", one[0].Nodes(), one[0].Expirations(), one[0].Index(), m.Nodes(), m.Expirations(), m.Index())
		}
		more := slices.DeleteFunc(commands().Draw(rt, "more"), func(c tree.Command) bool { return c.Op >= tree.OpFound })
		for i := range more {
			mustUpdate(rt, m, 1000+uint64(i), more[i])
			mustUpdate(rt, one[0], 1+uint64(i), more[i])
		}
		if a, b := linesOf(rt, backup(rt, []*statemachine.Machine{m}, nil)), linesOf(rt, backup(rt, one, nil)); a != b {
			rt.Fatalf("after more commands the restored store has\n%s\nwant\n%s", b, a)
		}
	})
}

func mustUpdate(t rapid.TB, m *statemachine.Machine, index uint64, c tree.Command) {
	t.Helper()
	cmd := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)
	if _, err := m.Update([]sm.Entry{{Index: index, Cmd: cmd}}); err != nil {
		t.Fatal(err)
	}
}

// Whatever the shards apply meanwhile, and however their logs are cut into updates, a backup
// has all changes up to its index and none above.
func TestABackupOfSeveralShardsHasOneIndex(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		machines := restore(rt, emptyFile(rt), slots, 0)
		defer closeAll(rt, machines)
		data := dataOf(machines)
		// Ranges are handed out in turn; each shard applies its own in their order.
		logs := make([][]sm.Entry, slots)
		next, first := tree.Index(1), machines[0].Index()
		written := map[tree.Index]string{}
		for range rapid.IntRange(1, 30).Draw(rt, "batches") {
			slot, n := rapid.IntRange(0, slots-1).Draw(rt, "slot"), tree.Index(rapid.IntRange(1, 3).Draw(rt, "writes"))
			key := tree.InOrderName(next)
			for tree.Slot("/"+key, slots) != slot {
				key += "x"
			}
			add := func(b orderedBatch) {
				logs[slot] = append(logs[slot], b.entry(uint64(len(logs[slot]))+1))
			}
			at := first + next
			if len(logs[slot]) > 0 && rapid.IntRange(0, 3).Draw(rt, "stale") == 0 { // of a leader before
				add(orderedBatch{epoch: 1, r: tree.Range{First: at + 1000, Last: at + 1000}, list: []tree.Command{{Op: tree.OpSet, Key: "/" + key + "stale"}}})
			}
			add(orderedBatch{epoch: 2, r: tree.Range{First: at, Last: at + n - 1}, list: []tree.Command{{Op: tree.OpSet, Key: "/" + key}}})
			written[at] = "/" + key
			next += n
		}
		apply := func(slot, n int) {
			if n = min(n, len(logs[slot])); n > 0 {
				if _, err := data[slot].Update(slices.Clone(logs[slot][:n])); err != nil {
					rt.Fatal(err)
				}
				logs[slot] = logs[slot][n:]
			}
		}
		// Drawn first, since nothing may panic while stores are pinned.
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]int {
			return [2]int{rapid.IntRange(0, slots-1).Draw(t, "slot"), rapid.IntRange(1, 5).Draw(t, "entries")}
		}), 0, 6)
		before, meanwhile, after := steps.Draw(rt, "before"), steps.Draw(rt, "meanwhile"), steps.Draw(rt, "after")
		some := func(list [][2]int) {
			for _, s := range list {
				apply(s[0], s[1])
			}
		}
		some(before)
		b, err := statemachine.NewBackup(machines[0], data, statemachine.BackupOptions{ClusterID: 1, Time: time.Unix(0, 0), CutOptions: statemachine.CutOptions{Counter: machines[0].Index, Closed: func(at tree.Index) error {
			some(meanwhile)
			for slot := range data { // until all have come to at
				for len(logs[slot]) > 0 && (firstOf(rt, logs[slot][0]) <= at || firstOf(rt, logs[slot][0]) > first+next) {
					apply(slot, 1+slot)
				}
			}
			some(after)
			return nil
		}}})
		if err != nil {
			rt.Fatal(err)
		}
		at := b.Header().Index
		lines := linesOf(rt, fileOf(rt, b))
		n := 0
		for index, key := range written {
			if has := strings.Contains(lines, `"`+key+`"`); has != (index <= at) {
				rt.Fatalf("at %d the change at %d is there: %v\n%s", at, index, has, lines)
			}
			if index <= at {
				n++
			}
		}
		if strings.Count(lines, "\n") != n {
			rt.Fatalf("%d nodes, want %d", strings.Count(lines, "\n"), n)
		}
	})
}

func firstOf(t rapid.TB, e sm.Entry) tree.Index {
	b, err := tree.ReadBatch(e.Cmd)
	if err != nil {
		t.Fatal(err)
	}
	return b.Range.First
}

func emptyFile(t rapid.TB) []byte {
	var out bytes.Buffer
	w, err := portable.NewWriter(&out, portable.Header{ClusterID: 1, Index: 5, Time: time.Unix(0, 0), Shards: 1})
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
