package actors_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
	"copse/statemachine/tree"
)

// eventually polls for a condition that nothing signals.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("never came true")
		}
	}
}

// scrape returns the member's metrics.
func (n node) scrape(t *testing.T) metrictest.Scrape {
	t.Helper()
	var w metric.Writer
	n.node.WriteMetrics(&w)
	s, err := metrictest.Parse(w.Bytes())
	if err != nil {
		t.Fatalf("%v in\n%s", err, w.Bytes())
	}
	return s
}

func TestANodeTellsWhatItDoes(t *testing.T) {
	n := startNode(t, t.TempDir(), freeAddress(t))
	for range 3 {
		if r := n.Do(setTo("/a", "v")); r.Err != nil || r.Applied <= 0 || r.Queued < 0 {
			t.Fatalf("%+v", r)
		}
	}
	if r := n.Do(&tree.Command{Op: tree.OpDelete, Key: "/missing"}); r.Err == nil || r.Err.Code != tree.CodeKeyNotFound {
		t.Fatal(r.Err)
	}
	if r := n.Do(&tree.Command{Op: tree.OpSet, Key: "/soon", Now: time.Now().UnixNano(), Expires: time.Now().UnixNano()}); r.Err != nil {
		t.Fatal(r.Err)
	}
	_, _, _, _ = n.Get(nil, tree.Query{Key: "/a", Quorum: true})
	_, _, _, _ = n.Get(nil, tree.Query{Key: "/missing"})
	s := newEars()
	if _, err := n.Watch(&tree.Watch{Key: "/a", Sink: s}); err != nil {
		t.Fatal(err)
	}
	for _, check := range []func() error{n.node.CheckAlive, n.node.CheckLeader, n.node.CheckCaughtUp} {
		if err := check(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, func() bool {
		page := n.scrape(t)
		expired, _ := page.Value("copse_expirations_total")
		lag, _ := page.Value("copse_expiry_lag_seconds")
		return expired == 1 && lag == 0 // a page is put together while the key goes
	})
	got := n.scrape(t)
	for _, name := range []string{"copse_raft_log_sync_duration_seconds_count", "etcd_disk_wal_fsync_duration_seconds_count"} {
		if syncs, _ := got.Value(name); syncs < 5 {
			t.Errorf("%s: %v, and five writes, one after the other, were acknowledged", name, syncs)
		}
	}
	st := n.State()
	// Five writes, the expiry, and one or two that say what time it is.
	writes, _ := got.Value("copse_raft_proposals_total")
	if writes < 6 || writes > 8 {
		t.Errorf("%v writes", writes)
	}
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"copse_raft_has_leader", []string{"shard", "1"}, 1},
		{"copse_raft_is_leader", []string{"shard", "1"}, 1},
		{"copse_raft_leader_changes_total", []string{"shard", "1"}, 1},
		{"copse_raft_term", []string{"shard", "1"}, float64(st.RaftTerm)},
		{"copse_raft_applied_index", []string{"shard", "1"}, float64(st.RaftIndex)},
		{"copse_raft_proposals_total", []string{"result", "done"}, writes},
		{"copse_raft_proposals_total", nil, writes},
		{"copse_raft_proposals_pending", nil, 0},
		{"copse_raft_batch_writes_sum", nil, writes},
		{"copse_raft_commit_duration_seconds_count", nil, writes},
		{"copse_read_index_failed_total", nil, 0},
		{"copse_store_operations_total", []string{"action", "set", "result", "success"}, 4},
		{"copse_store_operations_total", []string{"action", "delete", "result", "fail"}, 1},
		{"copse_store_operations_total", []string{"action", "get"}, 2},
		{"copse_cache_bytes", []string{"shard", "1", "kind", "listings"}, 0},
		{"copse_expiry_lag_seconds", nil, 0},
		{"copse_history_oldest_index", nil, 1},
		{"copse_history_newest_index", nil, float64(st.Index)},
		{"copse_watch_registered", nil, 1},
		{"etcd_server_has_leader", nil, 1},
		{"etcd_server_leader_changes_seen_total", nil, 1},
		{"etcd_store_writes_total", []string{"action", "set"}, 4},
		{"etcd_debugging_store_writes_failed_total", []string{"action", "delete"}, 1},
		{"etcd_store_watchers", nil, 1},
		{"etcd_server_proposal_durations_seconds_count", nil, writes},
		{"dragonboat_raftnode_has_leader", []string{"shardid", "1", "replicaid", "1"}, 1},
	} {
		if v, ok := got.Value(c.name, c.labels...); v != c.want || !ok {
			t.Errorf("%s %v: got %v want %v", c.name, c.labels, v, c.want)
		}
	}
	for _, name := range []string{
		"copse_read_index_duration_seconds_count", "copse_apply_duration_seconds_count", "copse_apply_batch_entries_count",
		"copse_store_bytes", "copse_store_memtable_bytes", "copse_cache_bytes",
	} {
		if v, _ := got.Value(name); v <= 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	for name, f := range got {
		if strings.Contains(f.Help, "As dragonboat counts it") {
			t.Errorf("%s has no help of its own", name)
		}
	}
}

func TestALeaderTellsHowEachPeerFollows(t *testing.T) {
	c := found(t, 3)
	leader := c.leader()
	c.set(leader, "/k", "v")
	value := func(name, peer string) float64 {
		v, _ := c.nodes[leader].scrape(t).Value(name, "peer", peer)
		return v
	}
	for _, id := range c.ids() {
		peer := strconv.FormatUint(id, 16)
		if id == leader {
			if _, ok := c.nodes[leader].scrape(t).Value("copse_peer_appends_sent_total", "peer", peer); ok {
				t.Error("a member is its own peer")
			}
			continue
		}
		c.await("an answer of peer "+peer, func() bool {
			return value("copse_peer_appends_sent_total", peer) > 0 &&
				value("copse_peer_appends_acknowledged_total", peer) > 0 &&
				value("copse_peer_append_duration_seconds_count", peer) > 0
		})
	}
	away := c.follower()
	before := value("copse_peer_appends_failed_total", strconv.FormatUint(away, 16))
	c.stop(away)
	c.set(leader, "/k", "without it")
	c.await("a failure", func() bool { return value("copse_peer_appends_failed_total", strconv.FormatUint(away, 16)) > before })
}
