package etcddir

import (
	"bytes"
	"testing"
	"testing/fstest"

	"copse/statemachine/tree"
)

const (
	fuzzWAL  = "member/wal/0000000000000000-0000000000000000.wal"
	fuzzSnap = "member/snap/0000000000000002-0000000000000007.snap"
)

// frame appends a frame with a record to a log whose sum so far is *sum.
func frame(dst []byte, kind byte, data []byte, sum *uint32) []byte {
	r := record{data: data}
	*sum = r.next(*sum)
	body := appendVarintField(nil, 1, uint64(kind))
	body = appendVarintField(body, 2, uint64(*sum))
	if data != nil {
		body = appendTextField(body, 3, data)
	}
	return append(appendHead(dst, len(body)), body...)
}

func addSeeds(f *testing.F) {
	var sum uint32
	wal := frame(nil, sumRecord, nil, &sum)
	meta := appendVarintField(appendVarintField(nil, 1, 1), 2, 2)
	wal = frame(wal, metadataRecord, meta, &sum)
	put := appendTextField(appendTextField(appendTextField(nil, 2, []byte("PUT")), 3, []byte("/1/a")), 4, []byte("v"))
	entry := appendTextField(appendVarintField(appendVarintField(appendVarintField(nil, 1, 0), 2, 1), 3, 1), 4, put)
	wal = frame(wal, entryRecord, entry, &sum)
	wal = frame(wal, snapshotRecord, appendVarintField(appendVarintField(nil, 1, 7), 2, 2), &sum)
	f.Add(wal)
	f.Add(append(wal, make([]byte, 600)...))
	f.Add(entry)
	f.Add(put)
	f.Add(appendTextField(nil, versionField, appendTextField(nil, 1, []byte("3.5.0"))))
	f.Add(appendTextField(nil, memberField, appendVarintField(nil, 1, 5)))
	f.Add(appendTextField(appendVarintField(appendVarintField(nil, 2, 0), 3, 5), 4, []byte(`{"id":5,"peerURLs":["http://a"]}`)))
	f.Add([]byte(`{"Root":{"Path":"/","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{"1":{"Path":"/1","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":"0001-01-01T00:00:00Z","Value":"","Children":{"a":{"Path":"/1/a","CreatedIndex":4,"ModifiedIndex":4,"ExpireTime":"2036-01-01T00:00:00Z","Value":"v","Children":null}}}}},"WatcherHub":{"EventHistory":{"Queue":{"Events":[{"action":"set","node":{"key":"/1/a","value":"v","modifiedIndex":4,"createdIndex":4}},null]},"StartIndex":4}},"CurrentIndex":4}`))
}

// FuzzFrames reads any bytes as a log, alone and with what else a directory has.
func FuzzFrames(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, sound := range []bool{false, true} {
			files := fstest.MapFS{fuzzWAL: {Data: data}}
			r, err := Read([]Source{{Dir: files}}, Options{TakeSound: sound})
			if err == nil && r.Losses.Torn == nil && r.Losses.Whole() && len(data) < 2*frameHead {
				t.Errorf("%x is a whole log", data)
			}
		}
		r, size, ok := frameAt(data)
		if ok && (size > len(data) || len(r.data) > size) {
			t.Errorf("a frame of %d bytes in %x", size, data)
		}
		soundBehind(data)
	})
}

// FuzzRecord reads any bytes as a record, and as each kind of what is in one.
func FuzzRecord(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, n, ok := recordPrefix(data); ok && n > len(data) {
			t.Errorf("a record of %d bytes in %x", n, data)
		}
		l := log{versions: map[int]string{}}
		for kind := uint64(0); kind <= recordEnd; kind++ {
			r := record{kind: kind, data: data}
			_ = l.take(&r, &file{name: "f"}, 8, int64(len(data)))
		}
		if len(l.marks) > 1 || len(l.places) > 1 {
			t.Errorf("%x is %d snapshots and %d entries", data, len(l.marks), len(l.places))
		}
	})
}

// FuzzRequest applies any bytes as an entry, of both kinds, and checks the store.
func FuzzRequest(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for kind := uint64(0); kind < entryEnd; kind++ {
			r := replay{store: newStore(), now: 1}
			for _, dir := range []string{clusterSpace, keySpace} {
				r.store.Put(&tree.Node{Key: dir, Dir: true}, nil)
			}
			for range 2 {
				_ = r.entry(&entry{kind: kind, data: data})
			}
			checkStore(t, &r)
		}
	})
}

func checkStore(t *testing.T, r *replay) {
	t.Helper()
	due, seen := 0, 0
	for key, n := range r.store.nodes {
		if n.Expires != 0 {
			due++
		}
		if n.Key != key || n.Modified > r.last || n.Created > n.Modified {
			t.Errorf("%+v at %s", n.Node, key)
		}
		if dir := tree.Parent(key); dir != "/" && (n.parent == nil || n.parent.Key != dir || !n.parent.Dir) {
			t.Errorf("%s has no directory above it", key)
		}
	}
	for range r.store.below(keySpace) {
		seen++
	}
	if due != len(r.store.due) || seen >= len(r.store.nodes) {
		t.Errorf("%d nodes expire, %d of them are known; %d of %d nodes", due, len(r.store.due), seen, len(r.store.nodes))
	}
}

// FuzzSnapshot reads any bytes as a store, and as the file around it.
func FuzzSnapshot(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newStore()
		if _, err := readStore(bytes.NewReader(data), s); err == nil {
			for key, n := range s.nodes {
				if n.Key != key || tree.Clean(key) != key && key != "/" {
					t.Errorf("%+v at %q", n.Node, key)
				}
			}
		}
		for _, content := range [][]byte{data, snapshotFile(data)} {
			files := fstest.MapFS{fuzzSnap: {Data: content}}
			snap, err := readSnapshot(files, fuzzSnap, mark{index: 7, term: 2})
			if err == nil && snap.json+snap.size > int64(len(content)) {
				t.Errorf("the store ends at %d", snap.json+snap.size)
			}
		}
	})
}
