package statemachine_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

const (
	replica = 7
	window  = 200
)

// large is the smallest value that lies apart from its node.
var large = strings.Repeat("l", 1<<10)

// model is the tree in memory with the bookkeeping that a Machine does.
type model struct {
	store   tree.MemStore
	last    tree.Index
	epoch   uint64 // see applyBatch
	stats   tree.Stats
	notices []tree.EncodedEvent
	members *tree.Membership // nil: nobody yet
	floor   tree.Index       // where the window begins, if a renewal emptied it
}

func (m *model) membership() *tree.Membership {
	if m.members == nil {
		m.members = &tree.Membership{}
	}
	return m.members
}

// apply carries out c and returns the answer, as v2 prints it; empty for what
// has none.
func (m *model) apply(c *tree.Command) string {
	if c.Op.Membership() {
		founded := m.membership().Founded()
		next, refused, err := tree.ApplyMembership(m.members, c, m.last)
		if err != nil {
			panic(err)
		}
		m.members = next
		if refused != nil {
			return string(tree.AppendError(nil, refused))
		}
		if c.Op == tree.OpFound && !founded {
			m.last = max(m.last, c.PrevIndex)
		}
		return ""
	}
	if c.Op == tree.OpTxn {
		return m.applyTxn(c)
	}
	var out []byte
	err := tree.Apply(&m.store, c, m.last, func(e *tree.Event) {
		m.last = e.Index()
		json := tree.AppendEvent(nil, e)
		m.notices = append(m.notices, e.Encoded(json))
		out = append(out, json...)
		if bytes.Contains(json, []byte(`\ufffd`)) {
			out = append(out, eventIn64(e)...)
		}
		if e.Action == tree.ActionExpire {
			m.stats.ExpireCount++
		}
	})
	m.stats.CountWrite(c.Op, err == nil)
	if err != nil {
		out = tree.AppendError(nil, err)
	}
	return string(out)
}

// get answers a read as v2 prints it.
func (m *model) get(q *tree.Query, now int64) string {
	n, err := tree.Find(&m.store, q.Key)
	if err != nil {
		err.Index = m.last
		return string(tree.AppendError(nil, err))
	}
	if !n.Dir {
		return string(q.AppendFile(nil, &n, now))
	}
	return string(m.store.List(nil, &n, q, now))
}

// history is what the window must hold from an index on.
func (m *model) history(from tree.Index) []tree.EncodedEvent {
	floor := tree.Index(1)
	switch {
	case m.epoch > 0: // with several shards there are gaps
		if n := len(m.notices); n >= window {
			floor = m.notices[n-window].Index
		}
	case m.last >= window:
		floor = m.last - window + 1
	}
	var kept []tree.EncodedEvent
	for _, n := range m.notices {
		if n.Index >= max(from, floor, m.floor) {
			kept = append(kept, n)
		}
	}
	return kept
}

var names = []string{"a", "b", "ab", "a!", "_h", "\x00", "\x01", "\x01\x01", "ü", "00000000000000000009"}

func keys() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		key := ""
		for range rapid.IntRange(0, 4).Draw(t, "depth") {
			key += "/" + rapid.SampledFrom(names).Draw(t, "name")
		}
		return tree.Clean(key)
	})
}

// memberChange draws a change of the membership, of few members so that they meet.
func memberChange(t *rapid.T) tree.Command {
	op := rapid.SampledFrom([]tree.Op{
		tree.OpFound, tree.OpMemberAdd, tree.OpMemberAdd, tree.OpMemberUpdate, tree.OpMemberRemove, tree.OpMemberPublish, tree.OpMemberReplaceAll,
	}).Draw(t, "op")
	url := rapid.SampledFrom([]string{"http://a:1", "http://b:1", "http://c:1", "http://d:1"})
	c := tree.MemberCommand(op, tree.Member{
		ID:         rapid.Uint64Range(1, 5).Draw(t, "id"),
		Name:       rapid.SampledFrom([]string{"", "n", "\xff"}).Draw(t, "name"),
		PeerURLs:   rapid.SliceOfN(url, 1, 2).Draw(t, "peers"),
		ClientURLs: rapid.SliceOfN(url, 0, 2).Draw(t, "clients"),
	})
	if op == tree.OpFound {
		c.PrevIndex = tree.Index(rapid.IntRange(0, 9).Draw(t, "first"))
	}
	return c
}

// commands draws commands whose clock never goes back.
func commands() *rapid.Generator[[]tree.Command] {
	op := rapid.SampledFrom([]tree.Op{
		tree.OpSet, tree.OpSet, tree.OpSet, tree.OpSet, tree.OpCreate, tree.OpCreateInOrder, tree.OpUpdate,
		tree.OpCompareAndSwap, tree.OpDelete, tree.OpDelete, tree.OpCompareAndDelete, tree.OpExpire,
	})
	return rapid.Custom(func(t *rapid.T) []tree.Command {
		now := int64(1e18)
		list := make([]tree.Command, rapid.IntRange(1, 120).Draw(t, "commands"))
		for i := range list {
			if rapid.IntRange(0, 9).Draw(t, "membership") == 0 {
				list[i] = memberChange(t)
				continue
			}
			now += int64(rapid.IntRange(0, 3).Draw(t, "tick")) * 1e8
			if rapid.IntRange(0, 9).Draw(t, "txn") == 0 {
				list[i] = transaction(t, now)
				continue
			}
			list[i] = command(t, op.Draw(t, "op"), keys().Draw(t, "key"), now)
		}
		return list
	})
}

// command draws the rest of a command.
func command(t *rapid.T, op tree.Op, key string, now int64) tree.Command {
	c := tree.Command{
		Op:        op,
		Key:       key,
		Now:       now,
		Dir:       rapid.IntRange(0, 4).Draw(t, "dir") == 0,
		Recursive: rapid.IntRange(0, 3).Draw(t, "recursive") == 0,
		Refresh:   rapid.IntRange(0, 5).Draw(t, "refresh") == 0,
		Limit:     rapid.IntRange(0, 3).Draw(t, "limit"),
	}
	if rapid.Bool().Draw(t, "hasValue") {
		c.Value = []byte(rapid.SampledFrom([]string{"", "x", "y", "<é\x00\xff>", large, large + "\n", large[1:]}).Draw(t, "value"))
	}
	if rapid.IntRange(0, 3).Draw(t, "hasTTL") == 0 {
		c.Expires = now + int64(rapid.IntRange(0, 5).Draw(t, "ttl"))*1e8
	}
	if rapid.IntRange(0, 2).Draw(t, "hasPrev") > 0 {
		c.PrevValue = rapid.SampledFrom([]string{"", "x", "y", large}).Draw(t, "prevValue")
		c.PrevIndex = tree.Index(rapid.IntRange(0, 40).Draw(t, "prevIndex"))
	}
	return c
}

// log turns commands into raft entries of random sizes.
func raftLog(t *rapid.T, list []tree.Command) []sm.Entry {
	var entries []sm.Entry
	for index := uint64(1); len(list) > 0; index++ {
		if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
			index++ // raft's own entries don't reach the machine
		}
		n := rapid.IntRange(1, min(8, len(list))).Draw(t, "batch")
		cmd := tree.AppendBatch(nil, replica, n)
		for i := range list[:n] {
			cmd = tree.AppendCommand(cmd, &list[i])
		}
		entries = append(entries, sm.Entry{Index: index, Cmd: cmd})
		list = list[n:]
	}
	return entries
}

// applySplit applies entries in updates of random sizes.
func applySplit(t *rapid.T, m *statemachine.Machine, entries []sm.Entry) []sm.Entry {
	var done []sm.Entry
	for len(entries) > 0 {
		n := rapid.IntRange(1, len(entries)).Draw(t, "update")
		part := append([]sm.Entry(nil), entries[:n]...)
		part, err := m.Update(part)
		if err != nil {
			t.Fatalf("Update: %v", err)
		}
		done = append(done, part...)
		entries = entries[n:]
		if rapid.Bool().Draw(t, "reads between") {
			fillCaches(t, m)
		}
	}
	return done
}

// fillCaches reads often enough for all that is read to be kept; what is wrong
// with it then shows when it is read again.
func fillCaches(t rapid.TB, m *statemachine.Machine) {
	for range 3 {
		for i := range modelQueries {
			read(t, m, &modelQueries[i], modelNow)
		}
	}
}

// modelQueries are what a machine is compared with its model by, at modelNow.
var modelQueries = []tree.Query{
	{Key: "/", Recursive: true}, {Key: "/"}, {Key: "/a"}, {Key: "/a", Recursive: true}, {Key: "/a/b"}, {Key: "/_h"},
	{Key: "/a/b/ab/a!"}, {Key: "/\x00/a"}, {Key: "/none/of/this"},
	{Key: "/", Recursive: true, Page: in64}, {Key: "/a", Page: in64}, {Key: "/a/b", Page: in64},
}

var in64 = tree.Page{Base64: true}

const modelNow = int64(2e18)

// eventIn64 prints e with values in base64, as nodes are when they are read.
func eventIn64(e *tree.Event) string {
	node := func(n tree.Node) string {
		read := string((&tree.Query{Page: in64}).AppendFile(nil, &n, e.Now))
		return strings.TrimSuffix(strings.TrimPrefix(read, `{"action":"get","node":`), "}\n")
	}
	n := node(e.Node)
	if e.Action.Removes() {
		n = strings.Replace(n, `"value64":"",`, "", 1)
	}
	if n = `{"action":"` + e.Action.String() + `","node":` + n; e.HasPrev {
		n += `,"prevNode":` + node(e.Prev)
	}
	return n + "}\n"
}

// answers prints the replies in an entry's result as v2 would, and those with values that aren't UTF-8 in
// base64 too.
func answers(data []byte) []string {
	var out []string
	for {
		r, rest, ok := statemachine.CutReply(data)
		if !ok {
			return out
		}
		data = rest
		body := r.JSON
		if r.Err != nil {
			body = tree.AppendError(nil, r.Err)
		}
		if bytes.Contains(r.JSON, []byte(`\ufffd`)) {
			body = append(bytes.Clone(r.JSON), r.Binary.AppendBase64(nil, r.JSON)...)
		}
		out = append(out, string(body))
	}
}

func mustNew(t rapid.TB, dir string) *statemachine.Machine {
	t.Helper()
	m, err := statemachine.New(statemachine.Options{Dir: dir, Replica: replica, Window: window, WindowBytes: 1 << 30, CacheSizes: statemachine.CacheSizes{Nodes: 16 << 10, Lists: 64 << 10}})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return m
}

func mustClose(t rapid.TB, m *statemachine.Machine) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// sameAsModel compares everything that can be seen of m.
func sameAsModel(t rapid.TB, m *statemachine.Machine, want *model) {
	t.Helper()
	if m.Index() != want.last {
		t.Fatalf("index %d, want %d", m.Index(), want.last)
	}
	if !bytes.Equal(tree.AppendMembership(nil, m.Membership()), tree.AppendMembership(nil, want.membership())) {
		t.Fatalf("membership %+v, want %+v", m.Membership(), want.membership())
	}
	for _, q := range modelQueries {
		if got := read(t, m, &q, modelNow); got != want.get(&q, modelNow) {
			t.Fatalf("get %+v:\n got %s\nwant %s", q, got, want.get(&q, modelNow))
		}
	}
	stats := m.Stats()
	stats.GetsSuccess, stats.GetsFail = 0, 0
	if stats != want.stats {
		t.Fatalf("stats %+v, want %+v", stats, want.stats)
	}
	nodes, expiring := uint64(0), uint64(0)
	for _, n := range want.store.Below("/") {
		nodes++
		if n.Expires != 0 {
			expiring++
		}
	}
	if m.Nodes() != nodes || m.Expirations() != expiring {
		t.Fatalf("%d nodes, of which %d expire; want %d and %d", m.Nodes(), m.Expirations(), nodes, expiring)
	}
	for _, from := range []tree.Index{1, want.last / 2, want.last, want.last + 1} {
		got, oldest, err := m.History(from, 1<<20)
		if err != nil {
			t.Fatalf("History: %v", err)
		}
		for len(got) > 0 && got[0].Index < oldest {
			got = got[1:] // not trimmed yet
		}
		if oldest < want.floor || m.Floor() != oldest {
			t.Fatalf("the window begins at %d, and says %d; want no less than %d", oldest, m.Floor(), want.floor)
		}
		for i := range got { // the JSON of large ones isn't made yet
			got[i].JSON, got[i].Late = got[i].Text(), nil
		}
		if wanted := want.history(from); !sameNotices(got, wanted) {
			t.Fatalf("history from %d:\n got %v\nwant %v", from, got, wanted)
		}
	}
	if wrong, err := wrongName(m, want); err != nil || wrong != "" {
		t.Fatalf("%s %v", wrong, err)
	}
}

func sameNotices(a, b []tree.EncodedEvent) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

func read(t rapid.TB, m *statemachine.Machine, q *tree.Query, now int64) string {
	t.Helper()
	out, err := readAll(m, q, now)
	if err != nil {
		t.Fatalf("get %+v: %v", q, err)
	}
	if cached, failed, ok := m.GetCached(nil, q, at(now)); ok {
		if failed != nil {
			cached = tree.AppendError(nil, failed)
		}
		if string(cached) != out {
			t.Fatalf("get %+v: %s is in memory, and %s else", q, cached, out)
		}
	}
	return out
}

func readAll(m *statemachine.Machine, q *tree.Query, now int64) (string, error) {
	out, rest, err, fail := m.Get(nil, q, at(now))
	if err != nil {
		return string(tree.AppendError(nil, err)), nil
	}
	if rest == nil {
		return string(out), fail
	}
	defer rest.Close()
	head := len(out)
	for more := fail == nil; more; {
		var part []byte
		if part, more, fail = rest.Next(); fail != nil {
			return "", fail
		}
		out = append(out, part...)
	}
	if size := rest.Size(); size >= 0 && size != len(out)-head {
		return "", fmt.Errorf("%d bytes, and there were to be %d", len(out)-head, size)
	}
	return string(out), nil
}

func ExampleCutReply() {
	_, _, ok := statemachine.CutReply(nil)
	fmt.Println(ok)
	// Output: false
}

func TestWindowKeepsSoManyEvents(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	want := &model{}
	for i := range 1000 {
		c := tree.Command{Op: tree.OpSet, Key: "/k", Value: fmt.Append(nil, i), Now: 1}
		want.apply(&c)
		cmd := tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)
		if _, err := m.Update([]sm.Entry{{Index: uint64(i + 1), Cmd: cmd}}); err != nil {
			t.Fatal(err)
		}
		_, oldest, _ := m.History(1, 1)
		if got, _, err := m.History(oldest, 1); err != nil || got[0].Index != oldest {
			t.Fatalf("at %d the window begins with %d, not %d (%v)", i+1, got[0].Index, oldest, err)
		}
	}
	sameAsModel(t, m, want)
	got, oldest, err := m.History(1, 1<<20)
	if err != nil || oldest != 801 {
		t.Fatalf("History: oldest %d, %v", oldest, err)
	}
	if len(got) < window || len(got) > window+100 {
		t.Fatalf("the store holds %d events of a window of %d", len(got), window)
	}
}
