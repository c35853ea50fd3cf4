package etcddir

import (
	"testing"
	"testing/fstest"
)

// smallStore is a store at index 4 with the key /a.
const smallStore = `{"Root":{"Path":"/","Children":{"1":{"Path":"/1","Children":{"a":{"Path":"/1/a","CreatedIndex":4,"ModifiedIndex":4,"ExpireTime":"0001-01-01T00:00:00Z","Value":"v","Children":null}}}}},"WatcherHub":{"EventHistory":{"Queue":{"Events":[]},"StartIndex":4}},"CurrentIndex":4}`

// overtaken is a directory with ten entries of term 1, and a leader's snapshot at index 7 of term 2
// behind them: the leader never had the entries as they are.
func overtaken(snapshot []byte) fstest.MapFS {
	var sum uint32
	wal := frame(nil, sumRecord, nil, &sum)
	wal = frame(wal, metadataRecord, appendVarintField(appendVarintField(nil, 1, 1), 2, 2), &sum)
	for i := uint64(1); i <= 10; i++ {
		put := appendTextField(appendTextField(appendTextField(nil, 2, []byte("PUT")), 3, []byte("/1/stale")), 4, []byte("v"))
		wal = frame(wal, entryRecord, appendTextField(appendVarintField(appendVarintField(appendVarintField(nil, 1, 0), 2, 1), 3, i), 4, put), &sum)
	}
	wal = frame(wal, snapshotRecord, appendVarintField(appendVarintField(nil, 1, 7), 2, 2), &sum)
	return fstest.MapFS{fuzzWAL: {Data: wal}, fuzzSnap: {Data: snapshot}}
}

func TestASnapshotOfTheLeaderReplacesTheLog(t *testing.T) {
	r, err := Read([]Source{{Dir: overtaken(snapshotFile([]byte(smallStore)))}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range r.Nodes() {
		if n.Key != "/a" {
			t.Errorf("%s is there, of the replaced log", n.Key)
		}
	}
	if r.Index != 4 || r.Counts.Nodes != 1 || r.Raft != 7 {
		t.Errorf("index %d, %d nodes, raft's index %d", r.Index, r.Counts.Nodes, r.Raft)
	}
}

func TestADamagedSnapshotThatTheLogLacksIsMissing(t *testing.T) {
	snapshot := snapshotFile([]byte(smallStore))
	snapshot[len(snapshot)/2] ^= 1
	r, err := Read([]Source{{Dir: overtaken(snapshot)}}, Options{TakeSound: true})
	if err != nil || len(r.Losses.Damages) != 1 || len(r.Losses.Passed) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
