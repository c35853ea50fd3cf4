package tree_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

// world is a MemStore and the latest index, which the state machine keeps otherwise.
type world struct {
	store tree.MemStore
	last  tree.Index
}

func (w *world) do(c tree.Command) string {
	var out []byte
	err := tree.Apply(&w.store, &c, w.last, func(e *tree.Event) {
		w.last = e.Index()
		out = tree.AppendEvent(out, e)
	})
	if err != nil {
		out = tree.AppendError(out, err)
	}
	return string(out)
}

func (w *world) list(key string, recursive bool) string {
	n, err := tree.Find(&w.store, key)
	if err != nil {
		err.Index = w.last
		return string(tree.AppendError(nil, err))
	}
	if !n.Dir {
		return string((&tree.Query{}).AppendFile(nil, &n, 0))
	}
	return string(w.store.List(nil, &n, &tree.Query{Recursive: recursive}, 0))
}

func TestApplyAnswersAsTheAPIPageSays(t *testing.T) {
	const s = int64(time.Second)
	val := func(v string) []byte { return []byte(v) }
	steps := []struct {
		name string
		cmd  tree.Command
		want string
	}{
		{"set a new key", tree.Command{Op: tree.OpSet, Key: "/message", Value: val("Hello world")},
			`{"action":"set","node":{"key":"/message","value":"Hello world","modifiedIndex":4,"createdIndex":4}}`},
		{"set it again", tree.Command{Op: tree.OpSet, Key: "/message", Value: val("Hello etcd")},
			`{"action":"set","node":{"key":"/message","value":"Hello etcd","modifiedIndex":5,"createdIndex":5},"prevNode":{"key":"/message","value":"Hello world","modifiedIndex":4,"createdIndex":4}}`},
		{"delete it", tree.Command{Op: tree.OpDelete, Key: "/message"},
			`{"action":"delete","node":{"key":"/message","modifiedIndex":6,"createdIndex":5},"prevNode":{"key":"/message","value":"Hello etcd","modifiedIndex":5,"createdIndex":5}}`},
		{"set with ttl", tree.Command{Op: tree.OpSet, Key: "/foo", Value: val("bar"), Now: 100 * s, Expires: 105 * s},
			`{"action":"set","node":{"key":"/foo","value":"bar","expiration":"1970-01-01T00:01:45Z","ttl":5,"modifiedIndex":7,"createdIndex":7}}`},
		{"refresh keeps the value", tree.Command{Op: tree.OpUpdate, Key: "/foo", Refresh: true, Now: 102 * s, Expires: 107 * s},
			`{"action":"update","node":{"key":"/foo","value":"bar","expiration":"1970-01-01T00:01:47Z","ttl":5,"modifiedIndex":8,"createdIndex":7},"prevNode":{"key":"/foo","value":"bar","expiration":"1970-01-01T00:01:45Z","ttl":3,"modifiedIndex":7,"createdIndex":7}}`},
		{"nothing is due yet", tree.Command{Op: tree.OpExpire, Now: 107*s - 1, Limit: 10}, ``},
		{"expiry", tree.Command{Op: tree.OpExpire, Now: 107 * s, Limit: 10},
			`{"action":"expire","node":{"key":"/foo","modifiedIndex":9,"createdIndex":7},"prevNode":{"key":"/foo","value":"bar","expiration":"1970-01-01T00:01:47Z","modifiedIndex":8,"createdIndex":7}}`},
		{"post names by the index", tree.Command{Op: tree.OpCreateInOrder, Key: "/queue", Value: val("Job1")},
			`{"action":"create","node":{"key":"/queue/00000000000000000010","value":"Job1","modifiedIndex":10,"createdIndex":10}}`},
		{"set over a directory", tree.Command{Op: tree.OpSet, Key: "/queue", Dir: true},
			`{"errorCode":102,"message":"Not a file","cause":"/queue","index":10}`},
		{"missing parent is the cause", tree.Command{Op: tree.OpUpdate, Key: "/a/b/c"},
			`{"errorCode":100,"message":"Key not found","cause":"/a","index":10}`},
		{"a file in the way is the cause", tree.Command{Op: tree.OpSet, Key: "/queue/00000000000000000010/x/y"},
			`{"errorCode":104,"message":"Not a directory","cause":"/queue/00000000000000000010","index":10}`},
		{"create what exists", tree.Command{Op: tree.OpCreate, Key: "/queue"},
			`{"errorCode":105,"message":"Key already exists","cause":"/queue","index":10}`},
		{"root is read only", tree.Command{Op: tree.OpDelete, Key: "/", Recursive: true},
			`{"errorCode":107,"message":"Root is read only","cause":"/","index":10}`},
		{"compare and delete of the root", tree.Command{Op: tree.OpCompareAndDelete, Key: "/", PrevValue: "x"},
			`{"errorCode":102,"message":"Not a file","index":10}`},
		{"a directory that isn't empty", tree.Command{Op: tree.OpDelete, Key: "/queue", Dir: true},
			`{"errorCode":108,"message":"Directory not empty","cause":"/queue","index":10}`},
		{"both conditions fail", tree.Command{Op: tree.OpCompareAndSwap, Key: "/queue/00000000000000000010", PrevValue: "two", PrevIndex: 1},
			`{"errorCode":101,"message":"Compare failed","cause":"[two != Job1] [1 != 10]","index":10}`},
		{"update of a directory's ttl", tree.Command{Op: tree.OpUpdate, Key: "/queue", Dir: true, Now: s, Expires: 31 * s},
			`{"action":"update","node":{"key":"/queue","dir":true,"expiration":"1970-01-01T00:00:31Z","ttl":30,"modifiedIndex":11,"createdIndex":10},"prevNode":{"key":"/queue","dir":true,"modifiedIndex":10,"createdIndex":10}}`},
		{"a directory expires with all below", tree.Command{Op: tree.OpExpire, Now: 99 * s, Limit: 10},
			`{"action":"expire","node":{"key":"/queue","dir":true,"modifiedIndex":12,"createdIndex":10},"prevNode":{"key":"/queue","dir":true,"expiration":"1970-01-01T00:00:31Z","ttl":-68,"modifiedIndex":10,"createdIndex":10}}`},
		{"a file becomes a directory", tree.Command{Op: tree.OpSet, Key: "/f", Value: val("1")},
			`{"action":"set","node":{"key":"/f","value":"1","modifiedIndex":13,"createdIndex":13}}`},
		{"with its value in prevNode", tree.Command{Op: tree.OpSet, Key: "/f", Dir: true, Value: val("dropped")},
			`{"action":"set","node":{"key":"/f","dir":true,"modifiedIndex":14,"createdIndex":14},"prevNode":{"key":"/f","value":"1","modifiedIndex":13,"createdIndex":13}}`},
	}
	w := world{last: 3}
	for _, step := range steps {
		if got := strings.TrimSuffix(w.do(step.cmd), "\n"); got != step.want {
			t.Fatalf("%s:\n got %s\nwant %s", step.name, got, step.want)
		}
	}
}

func TestListingHidesSortsAndNests(t *testing.T) {
	w := world{}
	for _, key := range []string{"/b/x", "/a", "/b/_h/y", "/_top", "/b/w/deep", "/b!"} {
		w.do(tree.Command{Op: tree.OpSet, Key: key, Value: []byte("v")})
	}
	cases := []struct {
		name, key string
		recursive bool
		want      string
	}{
		{"the root, flat", "/", false, `{"action":"get","node":{"dir":true,"nodes":[` +
			`{"key":"/a","value":"v","modifiedIndex":2,"createdIndex":2},` +
			`{"key":"/b","dir":true,"modifiedIndex":1,"createdIndex":1},` +
			`{"key":"/b!","value":"v","modifiedIndex":6,"createdIndex":6}]}}`},
		{"a directory, deep", "/b", true, `{"action":"get","node":{"key":"/b","dir":true,"nodes":[` +
			`{"key":"/b/w","dir":true,"nodes":[{"key":"/b/w/deep","value":"v","modifiedIndex":5,"createdIndex":5}],"modifiedIndex":5,"createdIndex":5},` +
			`{"key":"/b/x","value":"v","modifiedIndex":1,"createdIndex":1}],"modifiedIndex":1,"createdIndex":1}}`},
		{"inside a hidden directory", "/b/_h", false, `{"action":"get","node":{"key":"/b/_h","dir":true,"nodes":[` +
			`{"key":"/b/_h/y","value":"v","modifiedIndex":3,"createdIndex":3}],"modifiedIndex":3,"createdIndex":3}}`},
		{"a file", "/a", true, `{"action":"get","node":{"key":"/a","value":"v","modifiedIndex":2,"createdIndex":2}}`},
	}
	for _, c := range cases {
		if got := strings.TrimSuffix(w.list(c.key, c.recursive), "\n"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	if got, want := (&world{}).list("/", false), `{"action":"get","node":{"dir":true}}`+"\n"; got != want {
		t.Errorf("an empty root: got %s want %s", got, want)
	}
}

func TestStringsReadBackAsGoDecodesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(rapid.Byte()).Draw(t, "in")
		got := tree.AppendString(nil, in)
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		if err := enc.Encode(string(in)); err != nil {
			t.Fatal(err)
		}
		// Newer encoders write \b and \f where etcd 3.4's wrote \u escapes.
		want := strings.NewReplacer(`\\`, `\\`, `\b`, `\u0008`, `\f`, `\u000c`).Replace(strings.TrimSuffix(buf.String(), "\n"))
		if string(got) != want {
			t.Fatalf("got %s want %s", got, want)
		}
	})
}

func TestBatchesReadBack(t *testing.T) {
	command := rapid.Custom(func(t *rapid.T) tree.Command {
		return tree.Command{
			Op:        tree.Op(rapid.IntRange(int(tree.OpSet), int(tree.OpFound)).Draw(t, "op")),
			Dir:       rapid.Bool().Draw(t, "dir"),
			Recursive: rapid.Bool().Draw(t, "recursive"),
			Refresh:   rapid.Bool().Draw(t, "refresh"),
			Key:       rapid.String().Draw(t, "key"),
			Value:     rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
			PrevValue: rapid.String().Draw(t, "prevValue"),
			PrevIndex: tree.Index(rapid.Uint64().Draw(t, "prevIndex")),
			Expires:   rapid.Int64().Draw(t, "expires"),
			Now:       rapid.Int64().Draw(t, "now"),
			Limit:     rapid.IntRange(0, 1<<20).Draw(t, "limit"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOf(command).Draw(t, "commands")
		data := tree.AppendBatch(nil, 7, len(in))
		for i := range in {
			before := len(data)
			data = tree.AppendCommand(data, &in[i])
			if got, limit := len(data)-before, in[i].Size(); got > limit {
				t.Fatalf("command takes %d bytes, Size says %d", got, limit)
			}
		}
		r, err := tree.ReadBatch(data)
		if err != nil || r.Epoch != 0 || r.Submissions != 1 {
			t.Fatalf("ReadBatch: %v, %+v", err, r)
		}
		if more, err := r.NextSubmission(); !more || err != nil || r.Submission != (tree.RequestID{Replica: 7}) || r.Len() != len(in) {
			t.Fatalf("NextSubmission: %v, %v, of %+v, %d commands", more, err, r.Submission, r.Len())
		}
		for i := range in {
			var c tree.Command
			if ok, err := r.Next(&c); !ok || err != nil {
				t.Fatalf("command %d: %v %v", i, ok, err)
			}
			a, b := tree.AppendCommand(nil, &in[i]), tree.AppendCommand(nil, &c)
			if !bytes.Equal(a, b) {
				t.Fatalf("command %d: got %+v want %+v", i, c, in[i])
			}
		}
		var c tree.Command
		if ok, err := r.Next(&c); ok || err != nil {
			t.Fatalf("after the last: %v %v", ok, err)
		}
		if len(data) > 3 {
			cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut")
			if readAll(data[:cut]) == nil {
				t.Fatalf("a batch cut at %d of %d was taken", cut, len(data))
			}
		}
	})
}

// FuzzBatch decodes arbitrary bytes as a batch. What decodes without an error must
// survive encoding and decoding; skipping must fail exactly when decoding fails.
func FuzzBatch(f *testing.F) {
	f.Add(tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &tree.Command{Op: tree.OpSet, Key: "/k", Value: []byte("v"), Now: 1, Expires: 5}))
	f.Add([]byte{1, 0, 200})
	f.Add([]byte{2})
	r := tree.Range{First: 7, Last: 300}
	root := []tree.Command{{Op: tree.OpCreateInOrder, Key: "/", Value: []byte("v"), Now: 1}}
	f.Add(appendLed(tree.BatchHead{Epoch: 2, Number: 5, Ordered: true, Root: true, Range: r, Submissions: 2}, []submission{{commands: root}, {}}))
	f.Add(appendLed(tree.BatchHead{Epoch: 2, Ordered: true, Range: tree.Range{First: 7, Last: 6}}, nil))
	f.Add(appendLed(tree.BatchHead{Epoch: 1}, nil))
	f.Add([]byte{3})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, list, err := readLed(data)
		if skipped := skipAll(data); (err == nil) != (skipped == nil) {
			t.Fatalf("read: %v, passed over: %v", err, skipped)
		}
		if err != nil || h.Epoch == 0 {
			return
		}
		written := appendLed(h, list)
		if again, same, err := readLed(written); err != nil || again != h || !bytes.Equal(appendLed(again, same), written) {
			t.Fatalf("%+v %+v\nbecame %+v %+v (%v)", h, list, again, same, err)
		}
	})
}

func TestKeysAreCleanedAndCompared(t *testing.T) {
	for in, want := range map[string]string{
		"": "/", "/": "/", "/a/": "/a", "a//b": "/a/b", "/../../x": "/x", "/.../..x": "/.../..x", "/a/./b/..": "/a",
	} {
		if got := tree.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	for _, c := range []struct {
		dir, key       string
		within, hidden bool
	}{
		{"/", "/a", true, false}, {"/", "/", false, false}, {"/a", "/ab", false, false}, {"/a", "/a/b", true, false},
		{"/", "/_h", true, true}, {"/_h", "/_h/a", true, false}, {"/a", "/a/b/_c/d", true, true},
	} {
		if got := tree.Within(c.dir, c.key); got != c.within {
			t.Errorf("Within(%q, %q) = %v", c.dir, c.key, got)
		}
		if got := c.within && tree.HiddenBelow(c.dir, c.key); got != c.hidden {
			t.Errorf("HiddenBelow(%q, %q) = %v", c.dir, c.key, got)
		}
	}
}

// TestLongStringsGrowOnce appends what JSON writes as six times as much, in few allocations and as
// it is appended piece by piece.
func TestLongStringsGrowOnce(t *testing.T) {
	for name, unit := range map[string]string{"control": "\x01", "plain": "v", "mixed": "a<\"\n\xffé\u2028\x1f"} {
		long, want := strings.Repeat(unit, 100_000), []byte{'"'}
		for range 100_000 {
			piece := tree.AppendString(nil, unit)
			want = append(want, piece[1:len(piece)-1]...)
		}
		if got := tree.AppendString(nil, long); string(got) != string(want)+`"` {
			t.Errorf("%s: %d bytes, not the %d of its pieces", name, len(got), len(want)+1)
		}
	}
	long := strings.Repeat("\x01", 1<<20)
	if n := testing.AllocsPerRun(5, func() { tree.AppendString(nil, long) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}
