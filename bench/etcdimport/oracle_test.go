package etcdimport

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coreos/go-semver/semver"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/raft/v3/raftpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
	"go.etcd.io/etcd/server/v3/wal"
	"go.etcd.io/etcd/server/v3/wal/walpb"
	"go.uber.org/zap"
)

// state is what matters of a tree, by key.
type state struct {
	index uint64
	nodes map[string]string
}

// describe is the form in which nodes are compared.
func describe(dir bool, value []byte, expires time.Time, modified, created uint64) string {
	at := int64(0)
	if !expires.IsZero() {
		at = expires.UnixNano()
	}
	if dir {
		value = nil
	}
	return fmt.Sprintf("dir %t %q expires %d modified %d created %d", dir, value, at, modified, created)
}

// byEtcd reads a copy of a data directory with etcd's own packages.
func byEtcd(t *testing.T, dir string) state {
	t.Helper()
	dir = copyOf(t, dir)
	lg := zap.NewNop()
	store := v2store.New("/0", "/1")
	cluster := membership.NewCluster(lg)
	cluster.SetStore(store)
	walDir := filepath.Join(dir, "member", "wal")
	marks, err := wal.ValidSnapshotEntries(lg, walDir)
	check(t, err)
	var start walpb.Snapshot
	newest, err := snap.New(lg, filepath.Join(dir, "member", "snap")).LoadNewestAvailable(marks)
	if err == nil {
		check(t, store.Recovery(newest.Data))
		start.Index, start.Term = newest.Metadata.Index, newest.Metadata.Term
		cluster.Recover(func(*zap.Logger, *semver.Version) {})
	} else if err != snap.ErrNoSnapshot {
		t.Fatal(err)
	}
	w, err := wal.OpenForRead(lg, walDir, start)
	check(t, err)
	defer w.Close()
	_, _, entries, err := w.ReadAll()
	check(t, err)
	applier := etcdserver.NewApplierV2(lg, store, cluster)
	for _, e := range entries {
		apply(t, applier, cluster, e)
	}
	return saved(t, store)
}

func apply(t *testing.T, applier etcdserver.ApplierV2, cluster *membership.RaftCluster, e raftpb.Entry) {
	t.Helper()
	if e.Type == raftpb.EntryConfChange {
		var cc raftpb.ConfChange
		check(t, cc.Unmarshal(e.Data))
		if cluster.ValidateConfigurationChange(cc) == nil && cc.Type == raftpb.ConfChangeAddNode {
			var m membership.ConfigChangeContext
			check(t, json.Unmarshal(cc.Context, &m))
			cluster.AddMember(&m.Member, membership.ApplyV2storeOnly)
		}
		return
	}
	var internal etcdserverpb.InternalRaftRequest
	if len(e.Data) == 0 || internal.Unmarshal(e.Data) == nil {
		return // a leader's first, or v3's
	}
	var request etcdserverpb.Request
	check(t, request.Unmarshal(e.Data))
	switch r := (*etcdserver.RequestV2)(&request); request.Method {
	case "PUT":
		applier.Put(r, membership.ApplyV2storeOnly)
	case "POST":
		applier.Post(r)
	case "DELETE":
		applier.Delete(r)
	case "SYNC":
		applier.Sync(r)
	}
}

// saved reads what a store would write into a snapshot.
func saved(t *testing.T, store v2store.Store) state {
	t.Helper()
	text, err := store.Save()
	check(t, err)
	type node struct {
		Path                        string
		CreatedIndex, ModifiedIndex uint64
		ExpireTime                  time.Time
		Value                       string
		Children                    map[string]*node
	}
	var whole struct {
		Root         *node
		CurrentIndex uint64
	}
	check(t, json.Unmarshal(text, &whole))
	s := state{whole.CurrentIndex, map[string]string{}}
	var walk func(n *node)
	walk = func(n *node) {
		for _, child := range n.Children {
			s.nodes[child.Path[len("/1"):]] = describe(child.Children != nil, []byte(child.Value), child.ExpireTime, child.ModifiedIndex, child.CreatedIndex)
			walk(child)
		}
	}
	walk(whole.Root.Children["1"])
	return s
}

// copyOf copies a data directory, without v3's keys.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	for _, part := range []string{"member/wal", "member/snap"} {
		check(t, os.MkdirAll(filepath.Join(to, part), 0o700))
		files, err := os.ReadDir(filepath.Join(dir, part))
		check(t, err)
		for _, f := range files {
			if ext := filepath.Ext(f.Name()); ext != ".wal" && ext != ".snap" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, part, f.Name()))
			check(t, err)
			check(t, os.WriteFile(filepath.Join(to, part, f.Name()), data, 0o600))
		}
	}
	return to
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
