package actors

import (
	"strconv"
	"time"

	"copse/actors/shard"
	"copse/actors/watch"
	"copse/statemachine"
	"copse/statemachine/metric"
	"copse/statemachine/recent"
	"copse/statemachine/tree"
)

// shardView is one shard, as metrics and checks see it.
type shardView struct {
	label   string // its id
	id      uint64
	actor   *shard.Actor
	lane    *shard.ReadLane
	machine *statemachine.Machine
	hub     *watch.Hub
}

// views are the data shards.
func (n *Member) views() (list []shardView) {
	for _, p := range n.parts {
		list = append(list, p.view())
	}
	return list
}

// groups are all raft groups. If the order shard holds no data, its view has no shard
// and no hub.
func (n *Member) groups() []shardView {
	views := n.views()
	if n.sharded == nil {
		return views
	}
	order := shardView{label: strconv.Itoa(orderShard), id: orderShard, lane: n.sharded.order.lane, machine: n.machine}
	return append([]shardView{order}, views...)
}

// LeaderChanges are the last changes of leaders that this member has seen, the newest first.
func (n *Member) LeaderChanges() []recent.LeaderChange { return n.host.RecentChanges() }

// WriteMetrics writes what the member's parts have counted. The samples of a family
// have to be together, so it goes through all shards for each family.
func (n *Member) WriteMetrics(w *metric.Writer) {
	views, groups := n.views(), n.groups()
	over := func(list []shardView) family {
		return func(name string, kind metric.Kind, help string, sample func(v *shardView)) {
			w.Family(name, kind, help)
			for i := range list {
				sample(&list[i])
			}
		}
	}
	each, every := over(views), over(groups)
	n.writeRaft(w, every)
	n.writeWrites(w, each)
	n.writeRounds(w, every)
	n.writeStore(w, every)
	n.writeTime(w, views)
	n.writeWindow(w, each)
	n.link.WriteMetrics(w)
	n.writeEtcd(w, views)
	n.host.WriteMetrics(w)
	if m := n.router.mirror; m != nil {
		m.follower.WriteMetrics(w)
	}
}

// family writes one family: sample is called for each shard.
type family func(name string, kind metric.Kind, help string, sample func(v *shardView))

func (n *Member) writeRaft(w *metric.Writer, each family) {
	each("copse_raft_has_leader", metric.GaugeKind, "Whether this member knows a leader of the shard.", func(v *shardView) {
		w.Bool(n.host.Leader(v.id).Member != 0, "shard", v.label)
	})
	each("copse_raft_is_leader", metric.GaugeKind, "Whether this member leads the shard.", func(v *shardView) {
		w.Bool(n.host.Leads(v.id), "shard", v.label)
	})
	each("copse_raft_leader_changes_total", metric.CounterKind, "Changes of the shard's leader that this member has seen.", func(v *shardView) {
		w.Uint(n.host.LeaderChanges(v.id), "shard", v.label)
	})
	each("copse_raft_term", metric.GaugeKind, "The highest raft term that this member has seen in the shard.", func(v *shardView) {
		w.Uint(n.host.ShownTerm(v.id), "shard", v.label)
	})
	each("copse_raft_applied_index", metric.GaugeKind, "The last raft entry of the shard that this member has applied.", func(v *shardView) {
		w.Uint(v.machine.RaftIndex(), "shard", v.label)
	})
	each("copse_replica_differs", metric.GaugeKind, "Whether another member's replica of the shard contradicts this one's: the two have applied different raft entries.", func(v *shardView) {
		w.Bool(n.comparer.Differs(v.id), "shard", v.label)
	})
	each("copse_replica_undecided", metric.GaugeKind, "Whether no majority of members has confirmed or contradicted what this member has applied of the shard, for a minute or more.", func(v *shardView) {
		w.Bool(n.comparer.Undecided(v.id), "shard", v.label)
	})
}

func (n *Member) writeWrites(w *metric.Writer, each family) {
	each("copse_raft_proposals_total", metric.CounterKind, "Writes that this member proposed or refused, by outcome. Those that timed out, or were under way when the member stopped, may have been applied.", func(v *shardView) {
		for result, writes := range v.actor.Measures().Outcomes {
			w.Uint(writes, "shard", v.label, "result", result)
		}
	})
	each("copse_raft_proposals_pending", metric.GaugeKind, "Writes waiting to be proposed or applied.", func(v *shardView) {
		w.Uint(v.actor.Pending(), "shard", v.label)
	})
	each("copse_raft_batch_writes", metric.HistogramKind, "Writes in one raft entry that this member proposed.", func(v *shardView) {
		w.Histogram(v.actor.Measures().Batch, "shard", v.label)
	})
	each("copse_raft_commit_duration_seconds", metric.HistogramKind, "Time from submitting writes to the leader until they are applied here: the syncs of a quorum's raft logs, and applying them. copse_raft_log_sync_duration_seconds has the sync alone.", func(v *shardView) {
		w.Histogram(v.actor.Measures().Commit, "shard", v.label)
	})
}

func (n *Member) writeRounds(w *metric.Writer, each family) {
	each("copse_read_index_duration_seconds", metric.HistogramKind, "Rounds of read-index for linearizable reads, including those of probes.", func(v *shardView) {
		w.Histogram(v.lane.Rounds, "shard", v.label)
	})
	each("copse_read_index_failed_total", metric.CounterKind, "Rounds of read-index that failed.", func(v *shardView) {
		w.Uint(v.lane.Failed.Load(), "shard", v.label)
	})
	each("copse_apply_duration_seconds", metric.HistogramKind, "Applying the entries that raft delivers at once, until the store's commit, which isn't synced.", func(v *shardView) {
		w.Histogram(v.machine.Measures().Apply, "shard", v.label)
	})
	each("copse_apply_batch_entries", metric.HistogramKind, "Raft entries delivered to be applied at once.", func(v *shardView) {
		w.Histogram(v.machine.Measures().Entries, "shard", v.label)
	})
}

func (n *Member) writeStore(w *metric.Writer, each family) {
	each("copse_store_sync_duration_seconds", metric.HistogramKind, "Syncs of the store, which precede a compaction of the raft log.", func(v *shardView) {
		w.Histogram(v.machine.Measures().Sync, "shard", v.label)
	})
	stores := map[uint64]statemachine.StoreMetrics{}
	for _, v := range n.groups() {
		if m, err := v.machine.StoreMetrics(); err == nil { // otherwise it is closed, since the member stops
			stores[v.id] = m
		}
	}
	gauge := func(name, help string, of func(m *statemachine.StoreMetrics) uint64) {
		each(name, metric.GaugeKind, help, func(v *shardView) {
			if m, ok := stores[v.id]; ok {
				w.Uint(of(&m), "shard", v.label)
			}
		})
	}
	each("copse_store_nodes", metric.GaugeKind, "Nodes of the tree, including directories and hidden ones.", func(v *shardView) {
		w.Uint(v.machine.Nodes(), "shard", v.label)
	})
	each("copse_store_expirations", metric.GaugeKind, "Nodes of the tree with a time to live.", func(v *shardView) {
		w.Uint(v.machine.Expirations(), "shard", v.label)
	})
	gauge("copse_store_bytes", "Size of the store's files, without the raft log.", func(m *statemachine.StoreMetrics) uint64 { return m.DiskBytes })
	gauge("copse_store_node_bytes", "Estimate of the part of it that is keys and values, compressed; without what is only in memory yet.", func(m *statemachine.StoreMetrics) uint64 { return m.NodeBytes })
	gauge("copse_store_memtable_bytes", "What is only in memory and in the raft log yet.", func(m *statemachine.StoreMetrics) uint64 { return m.MemTableBytes })
	gauge("copse_store_compaction_debt_bytes", "Estimate of what compactions still have to rewrite.", func(m *statemachine.StoreMetrics) uint64 { return m.CompactBytes })
	gauge("copse_store_read_amplification", "Tables on disk that a read may have to search.", func(m *statemachine.StoreMetrics) uint64 { return m.ReadAmp })
	each("copse_store_compactions_total", metric.CounterKind, "Compactions of the store.", func(v *shardView) {
		if m, ok := stores[v.id]; ok {
			w.Uint(m.Compactions, "shard", v.label)
		}
	})
	for _, m := range stores { // they share one cache, so any of them will do
		w.Gauge("copse_store_cache_bytes", "Memory used by the cache of the stores' blocks.", float64(m.CacheBytes))
		w.Counter("copse_store_cache_hits_total", "Blocks found in the cache.", m.CacheHits)
		w.Counter("copse_store_cache_misses_total", "Blocks that had to be read from disk.", m.CacheMisses)
		break
	}
	each("copse_cache_bytes", metric.GaugeKind, "Memory used by the caches of nodes and of listings, by kind.", func(v *shardView) {
		nodes, lists := v.machine.CacheBytes()
		w.Uint(uint64(nodes), "shard", v.label, "kind", "nodes")
		w.Uint(uint64(lists), "shard", v.label, "kind", "listings")
	})
	s := n.router.Stats()
	w.Family("copse_store_operations_total", metric.CounterKind, "v2's operations by outcome, as in /v2/stats/store: reads served by this member, and writes applied, which all members count alike.")
	for _, op := range operations(&s) {
		w.Uint(op.success, "action", op.action, "result", "success")
		w.Uint(op.fail, "action", op.action, "result", "fail")
	}
	w.Counter("copse_expirations_total", "Nodes that have expired.", s.ExpireCount)
}

// operation is the counter of one of v2's operations.
type operation struct {
	action        string
	success, fail uint64
}

func operations(s *tree.Stats) []operation {
	return []operation{
		{"get", s.GetsSuccess, s.GetsFail},
		{"set", s.SetsSuccess, s.SetsFail},
		{"create", s.CreateSuccess, s.CreateFail},
		{"update", s.UpdateSuccess, s.UpdateFail},
		{"delete", s.DeleteSuccess, s.DeleteFail},
		{"compareAndSwap", s.CompareAndSwapSuccess, s.CompareAndSwapFail},
		{"compareAndDelete", s.CompareAndDeleteSuccess, s.CompareAndDeleteFail},
	}
}

func (n *Member) writeTime(w *metric.Writer, views []shardView) {
	lag, now := time.Duration(0), time.Now()
	for _, v := range views {
		lag = max(lag, v.machine.ExpiryLag(now))
	}
	w.Gauge("copse_expiry_lag_seconds", "How overdue the earliest pending expiration is; 0 if none is due.", lag.Seconds())
}

func (n *Member) writeWindow(w *metric.Writer, each family) {
	each("copse_history_oldest_index", metric.GaugeKind, "The oldest index that waitIndex can name.", func(v *shardView) {
		w.Uint(uint64(v.hub.Floor(v.machine.Index())), "shard", v.label)
	})
	each("copse_history_newest_index", metric.GaugeKind, "The index of the latest change.", func(v *shardView) {
		w.Uint(uint64(v.machine.Index()), "shard", v.label)
	})
	each("copse_history_names", metric.GaugeKind, "Top-level names whose events are kept beside those of the whole tree.", func(v *shardView) {
		w.Uint(v.machine.NameTotals().Names, "shard", v.label)
	})
	each("copse_history_name_events", metric.GaugeKind, "Events that are kept of those names.", func(v *shardView) {
		w.Uint(v.machine.NameTotals().Events, "shard", v.label)
	})
	each("copse_history_name_bytes", metric.GaugeKind, "Size of those events as JSON.", func(v *shardView) {
		w.Uint(v.machine.NameTotals().Bytes, "shard", v.label)
	})
	each("copse_history_other_names_oldest_index", metric.GaugeKind, "The oldest index that waitIndex can name below any other name, if that is older than copse_history_oldest_index; 0 if no events are kept of names.", func(v *shardView) {
		w.Uint(uint64(v.machine.NameTotals().Floor), "shard", v.label)
	})
	each("copse_kept_answers", metric.GaugeKind, "Answers to requests with a requestId that are kept for those who repeat them.", func(v *shardView) {
		n, _ := v.machine.Answers()
		w.Uint(n, "shard", v.label)
	})
	each("copse_kept_answer_bytes", metric.GaugeKind, "Size of those answers in the store. At 256 MiB, or 1048576 answers, further ids are refused.", func(v *shardView) {
		_, bytes := v.machine.Answers()
		w.Uint(bytes, "shard", v.label)
	})
	each("copse_watch_registered", metric.GaugeKind, "Watches registered with the shard.", func(v *shardView) {
		w.Uint(uint64(v.hub.Watchers()), "shard", v.label)
	})
}
