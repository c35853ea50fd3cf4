package statemachine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"
	"testing"

	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

func anyKey() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return tree.Clean("/" + string(rapid.SliceOfN(rapid.SampledFrom([]byte{'/', 0, 1, 2, 'a', '!', 0xff}), 0, 12).Draw(t, "key")))
	})
}

func TestStoreKeysKeepDepthFirstOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyKey().Draw(t, "a"), anyKey().Draw(t, "b")
		ka, kb := appendNodeKey(nil, a), appendNodeKey(nil, b)
		if got, want := bytes.Compare(ka, kb), tree.CompareKeys(a, b); got < 0 != (want < 0) || got == 0 != (want == 0) {
			t.Fatalf("%q and %q compare as %d, their store keys as %d", a, b, want, got)
		}
		below := bytes.Compare(ka, kb) < 0 && bytes.Compare(kb, appendBelow(nil, ka)) < 0
		if below != tree.Within(a, b) {
			t.Fatalf("%q within %q: %v by the store key, %v by the key", b, a, below, tree.Within(a, b))
		}
		back, err := appendKey(nil, ka[1:])
		if err != nil || string(back) != strings.TrimSuffix(a, "/") {
			t.Fatalf("%q reads back as %q, %v", a, back, err)
		}
		at := rapid.Int64().Draw(t, "at")
		gotAt, gotKey, err := readExpiryKey(appendExpiryKey(nil, at, a))
		if err != nil || gotAt != at || gotKey != strings.TrimSuffix(a, "/") {
			t.Fatalf("expiry of %q at %d reads back as %q, %d, %v", a, at, gotKey, gotAt, err)
		}
		other := rapid.Int64().Draw(t, "other")
		if got := bytes.Compare(appendExpiryKey(nil, at, "/x"), appendExpiryKey(nil, other, "/x")) < 0; got != (at < other) {
			t.Fatalf("times %d and %d are out of order", at, other)
		}
	})
}

// FuzzRecords reads arbitrary bytes as every kind of record: what can't be one
// must be refused, and what is one must be written back the same.
func FuzzRecords(f *testing.F) {
	n := tree.Node{Key: "/k", Value: []byte("v"), Expires: 5, Modified: 300, Created: 2}
	f.Add(appendNode(nil, &n))
	f.Add(appendNode(nil, &tree.Node{Key: "/k", Dir: true, Modified: 1, Created: 1}))
	var events eventRecord
	large := tree.Node{Key: "/k", Value: bytes.Repeat([]byte("v"), largeValueBytes), Modified: 8, Created: 2, Written: 8}
	events.add(&tree.Event{Action: tree.ActionSet, Node: large, Prev: n, HasPrev: true, Refresh: true, Now: 12}, 77)
	f.Add(events.data[8:])
	f.Add(appendNode(nil, &large))
	f.Add(append([]byte{0, 1, 1}, large.Value...)) // a large value that isn't flagged as one
	f.Add((&meta{raftIndex: 9, last: 8, oldest: 1}).append(nil))
	f.Add(appendHanded(nil, []tree.Index{0, 7, 300}))
	f.Add(appendExpiryKey(nil, 77, "/a/b"))
	f.Add(appendEventKey(nil, 77))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := readNode("/k", data); err == nil {
			again, err := readNode("/k", appendNode(nil, &n))
			if err != nil || !reflect.DeepEqual(again, n) {
				t.Fatalf("node %+v became %+v, %v", n, again, err)
			}
		}
		if e, rest, err := readEvent(data); err == nil {
			head := data[:len(data)-len(rest)]
			if _, _, err := readEvent(head); err != nil {
				t.Fatalf("event %x alone: %v", head, err)
			}
			if _, err := e.index(); err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
		}
		if m, err := readMeta(data); err == nil && !bytes.HasPrefix(m.append(nil)[8:], data[8:]) {
			t.Fatalf("meta %+v isn't written back the same", m)
		}
		if at, key, err := readExpiryKey(data); err == nil {
			if again, back, err := readExpiryKey(appendExpiryKey(nil, at, key)); err != nil || again != at || back != key {
				t.Fatalf("expiration %d %q became %d %q, %v", at, key, again, back, err)
			}
		}
		if handed, err := readHanded(data, len(data)/8); err == nil && !bytes.Equal(appendHanded(nil, handed), data) {
			t.Fatalf("what was handed out, %v, isn't written back the same", handed)
		}
		_, _ = readEventKey(data)
	})
}

// FuzzSnapshot feeds arbitrary bytes to a replica as a snapshot.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(snapshotMagic))
	f.Add([]byte(snapshotMagic + "\x01m\x05hello\x00"))
	m, err := New(Options{Dir: f.TempDir(), Replica: 1, Window: 10, WindowBytes: 1 << 30})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = m.Close() })
	state, err := m.PrepareSnapshot()
	if err != nil {
		f.Fatal(err)
	}
	var empty bytes.Buffer
	if err := m.SaveSnapshot(state, &empty, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(empty.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		err := m.RecoverFromSnapshot(bytes.NewReader(data), nil)
		if err == nil && !bytes.HasPrefix(data, []byte(snapshotMagic)) {
			t.Fatal("taken in without its magic")
		}
	})
}

// A snapshot that is whole but says what this copse can't read is refused
// before it takes the place of the store.
func TestSnapshotsThatCantBeReadAreNotTakenIn(t *testing.T) {
	dir := t.TempDir()
	m, err := New(Options{Dir: dir, Replica: 1, Window: 10, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	newer := (&meta{}).append(nil)
	binary.BigEndian.PutUint64(newer, Format+1)
	for name, c := range map[string]struct {
		key, value []byte
		want       error
	}{
		"a newer format":       {metaKey, newer, ErrNewerFormat},
		"a damaged membership": {membersKey, []byte{1, 9}, ErrDamaged},
	} {
		image := slices.Concat([]byte(snapshotMagic), []byte{1}, c.key, binary.AppendUvarint(nil, uint64(len(c.value))), c.value, []byte{0})
		image = binary.BigEndian.AppendUint64(image, 1)
		image = binary.BigEndian.AppendUint32(image, crc32.Checksum(image, castagnoli))
		if err := m.RecoverFromSnapshot(bytes.NewReader(image), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if m, err = New(Options{Dir: dir, Replica: 1, Window: 10, WindowBytes: 1 << 30}); err != nil {
		t.Fatalf("the store was lost: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
