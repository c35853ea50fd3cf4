package statemachine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// overLarge are commands over a large value at /d/k that need none of its bytes.
func overLarge(value []byte) []*tree.Command {
	set := func() *tree.Command { return &tree.Command{Op: tree.OpSet, Key: "/d/k", Value: value} }
	return []*tree.Command{
		set(),
		set(),
		{Op: tree.OpSet, Key: "/d/k", Value: []byte("small")},
		set(),
		{Op: tree.OpSet, Key: "/d/k", Refresh: true, Expires: 3e18},
		{Op: tree.OpUpdate, Key: "/d/k", Refresh: true, Expires: 2e18},
		{Op: tree.OpUpdate, Key: "/d/k", Value: bytes.ToUpper(value)},
		{Op: tree.OpCompareAndSwap, Key: "/d/k", PrevIndex: 1, Value: []byte("x")},
		{Op: tree.OpCreate, Key: "/d/k", Value: value},
		{Op: tree.OpCompareAndSwap, Key: "/d/k", PrevIndex: 7, Value: value, Expires: 1},
		{Op: tree.OpExpire, Key: "/", Now: 2e18, Limit: 5},
		set(),
		{Op: tree.OpCompareAndDelete, Key: "/d/k", PrevIndex: 10},
		{Op: tree.OpDelete, Key: "/d/k"},
		set(),
		{Op: tree.OpDelete, Key: "/d", Recursive: true},
	}
}

// What is answered, and told to watchers, doesn't depend on whether a value was read.
func TestUnreadValuesAreShownAsOthers(t *testing.T) {
	for name, value := range map[string][]byte{
		"text": patterned(5*rowBytes + 7), "escapes": bytes.Repeat([]byte("\x01é\n"), 300_000), "no text": bytes.Repeat([]byte("v\xff"), 200_000),
	} {
		read, unread := &stager{t: t, m: openRows(t, t.TempDir())}, &stager{t: t, m: openRows(t, t.TempDir())}
		compared := []*tree.Command{
			{Op: tree.OpSet, Key: "/k", Value: value},
			{Op: tree.OpCompareAndSwap, Key: "/k", PrevValue: "x", Value: value},
			{Op: tree.OpCompareAndSwap, Key: "/k", PrevValue: string(value), Value: value},
			{Op: tree.OpCompareAndDelete, Key: "/k", PrevValue: string(value)},
		}
		for i, c := range append(overLarge(value), compared...) {
			for _, key := range keysOf(t, read.m, textPrefix) { // as an earlier version leaves it
				if err := read.m.store.db.Delete([]byte(key), pebble.NoSync); err != nil {
					t.Fatal(err)
				}
			}
			given := c
			if c.Large() && i%2 == 0 {
				given = c.WithStaged(unread.stage(c))
			}
			want, got := text(read.do(c)), text(unread.do(given))
			if got != want {
				t.Fatalf("%s, command %d: %.300s, want %.300s", name, i, got, want)
			}
		}
		events := func(m *Machine) (all string) {
			list, _, err := m.History(1, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for i := range list {
				all += string(list[i].Text())
			}
			return all
		}
		if events(read.m) != events(unread.m) || read.m.meta.windowBytes != unread.m.meta.windowBytes {
			t.Errorf("%s: the windows differ", name)
		}
		_, _ = read.m.Close(), unread.m.Close()
	}
}

// A command that needs no bytes of a large value is carried out without reading it, whatever it is like.
func TestApplyingReadsNoLargeValues(t *testing.T) {
	value := patterned(3*rowBytes + 9)
	for i := range overLarge(value) {
		s := &stager{t: t, m: openRows(t, t.TempDir())}
		for j, c := range overLarge(value)[:i+1] {
			if j == i { // the value is gone
				for _, key := range keysOf(t, s.m, valuePrefix) {
					if err := s.m.store.db.Delete([]byte(key), pebble.NoSync); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.do(c) // which fails if it can't be applied
		}
		_ = s.m.Close()
	}
	s := &stager{t: t, m: openRows(t, t.TempDir())}
	defer s.m.Close()
	c := setK(value)
	s.do(&c)
	for _, key := range keysOf(t, s.m, valuePrefix) {
		if err := s.m.store.db.Delete([]byte(key), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	r := s.do(&tree.Command{Op: tree.OpDelete, Key: "/k"})
	if r.Err != nil || !r.Late.IsLeft() {
		t.Fatalf("%+v", r)
	}
	if r.Read() || r.Err == nil || !strings.Contains(r.Err.Cause, "the change was made") {
		t.Errorf("what is gone is answered %+v", r)
	}
}

// Answers may be printed long after the window has moved on, but not for ever.
func TestLargeValuesLinger(t *testing.T) {
	m, err := New(Options{Dir: t.TempDir(), Replica: 1, Window: 20, WindowBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s := &stager{t: t, m: m}
	defer m.Close()
	value := patterned(8 << 20)
	var replies []tree.Reply
	const values = 40
	for range values {
		c := setK(value)
		s.do(&c)
		replies = append(replies, s.do(&tree.Command{Op: tree.OpDelete, Key: "/k"}))
	}
	small := &tree.Command{Op: tree.OpSet, Key: "/small"}
	for range 100 {
		s.do(small)
	}
	there := 0
	for i := range replies {
		r := &replies[i]
		if r.Read() {
			there++
		} else if there > 0 {
			t.Errorf("removal %d is gone, and earlier ones aren't", i)
		}
	}
	if rows := len(keysOf(t, m, valuePrefix)); there*32 != rows || rows > lingerRows || rows < lingerRows*3/4 {
		t.Errorf("%d values can be read, and there are %d rows", there, rows)
	}
	for range (lingerWindows + 4) * 20 {
		s.do(small)
	}
	if rows, texts := keysOf(t, m, valuePrefix), keysOf(t, m, textPrefix); len(rows)+len(texts) > 0 {
		t.Errorf("%d rows and %d lengths stay", len(rows), len(texts))
	}
}

// What is deleted at once, since it has one row, takes no room from those that linger.
func TestShortValuesLetLargeOnesLinger(t *testing.T) {
	s := &stager{t: t, m: openRows(t, t.TempDir())}
	defer s.m.Close()
	for i := range lingerRows + 1 {
		s.do(&tree.Command{Op: tree.OpSet, Key: fmt.Sprint("/d/", i), Value: patterned(largeValueBytes)})
	}
	c := setK(patterned(2 * rowBytes))
	s.do(&c)
	r := s.do(&tree.Command{Op: tree.OpDelete, Key: "/k"})
	s.do(&tree.Command{Op: tree.OpDelete, Key: "/d", Recursive: true})
	for range 200 {
		s.do(&tree.Command{Op: tree.OpSet, Key: "/small"})
	}
	if rows := len(keysOf(t, s.m, valuePrefix)); rows != 2 || !r.Read() {
		t.Errorf("%d rows are left; %v", rows, r.Err)
	}
}

// One large value that expires doesn't have watchers read the events of others from the window.
func TestSmallExpirationsBesideALargeOne(t *testing.T) {
	m := openRows(t, t.TempDir())
	defer m.Close()
	var last ApplyResult
	m.Subscribe(func(res *ApplyResult) { last = *res })
	for i, list := range [][]tree.Command{
		{{Op: tree.OpSet, Key: "/a", Expires: 1}, {Op: tree.OpSet, Key: "/k", Value: patterned(2 * rowBytes), Expires: 2}, {Op: tree.OpSet, Key: "/z", Expires: 3}},
		{{Op: tree.OpExpire, Now: 9, Limit: 10}},
	} {
		at := uint64(i + 1)
		cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Number: at, Submissions: 1}), tree.RequestID{Replica: 1, Number: at}, len(list))
		for i := range list {
			cmd = tree.AppendCommand(cmd, &list[i])
		}
		if _, err := m.Update([]sm.Entry{{Index: at, Cmd: cmd}}); err != nil {
			t.Fatal(err)
		}
	}
	if len(last.Events) != 3 {
		t.Fatalf("%d expire", len(last.Events))
	}
	for i, n := range last.Events {
		if left := n.Late.IsLeft(); left != (i == 1) {
			t.Errorf("expiration %d is left: %v", i, left)
		}
	}
}

// The length of a staged value's JSON is that of the whole, wherever its parts end.
func TestStagedTextIsCounted(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	pieces := []string{"a", "é", "語", "\u2028", "😀", "\xff", "\xe8", "\xe8\xaa", "\xf0\x9f\x98", "\x01", "\"", "<"}
	for range 2000 {
		var value []byte
		for range random.IntN(12) {
			value = append(value, pieces[random.IntN(len(pieces))]...)
		}
		s := staged{length: len(value)}
		for rest := value; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			s.there += n
			s.count(rest[:n])
			rest = rest[n:]
			again, err := readStaged(s.append(nil))
			if err != nil {
				t.Fatal(err)
			}
			s = again
		}
		if want := (&tree.Node{Value: value}).TextLen(); s.text != want || len(s.cut) > 0 {
			t.Fatalf("%q: %d bytes of JSON, want %d; %q is left", value, s.text, want, s.cut)
		}
	}
}
