package actors

import (
	"strconv"
	"time"

	"copse/actors/shard"
	"copse/actors/watch"
	"copse/statemachine"
	"copse/statemachine/metric"
	"copse/statemachine/tree"
)

// shardView is what there is to tell of one shard.
type shardView struct {
	label   string // its id
	id      uint64
	actor   *shard.Actor
	lane    *shard.ReadLane
	machine *statemachine.Machine
	hub     *watch.Hub
}

// views are the data shards that this member has a replica of.
func (n *Node) views() (list []shardView) {
	for _, p := range n.parts {
		list = append(list, p.view())
	}
	return list
}

// groups are all raft groups, the order shard among them; of that, where it holds
// no data, there is no shard and no hub.
func (n *Node) groups() []shardView {
	views := n.views()
	if n.sharded == nil {
		return views
	}
	order := shardView{label: strconv.Itoa(orderShard), id: orderShard, lane: n.sharded.order.lane, machine: n.machine}
	return append([]shardView{order}, views...)
}

// WriteMetrics writes what the node's parts have counted. A family is written
// whole, shard by shard, so this goes through the shards for each.
func (n *Node) WriteMetrics(w *metric.Writer) {
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
	n.writeLog(w)
	n.writeWrites(w, each)
	n.writeRounds(w, every)
	n.writeStore(w, every)
	n.writeTime(w, views)
	n.writeWindow(w, each)
	n.link.WriteMetrics(w)
	n.writeEtcd(w, views)
	writeEngineMetrics(w)
}

// family writes one family, with what sample writes for each shard.
type family func(name string, kind metric.Kind, help string, sample func(v *shardView))

func (n *Node) writeLog(w *metric.Writer) {
	w.Family("copse_raft_log_sync_duration_seconds", metric.HistogramKind, "Syncs of the raft log: a write is acknowledged when a majority of members has synced it.")
	w.Histogram(n.host.log.Syncs)
	w.Counter("copse_raft_log_sync_failed_total", "Such syncs that failed.", n.host.log.Failed.Load())
	for _, name := range []string{"etcd_wal_fsync_durations_seconds", "etcd_disk_wal_fsync_duration_seconds"} {
		w.Family(name, metric.HistogramKind, "As etcd: syncs of the raft log.")
		w.Histogram(n.host.log.Syncs)
	}
}

func (n *Node) writeRaft(w *metric.Writer, each family) {
	each("copse_raft_has_leader", metric.GaugeKind, "Whether a leader of the shard is known here.", func(v *shardView) {
		w.Bool(n.host.Leader(v.id).Member != 0, "shard", v.label)
	})
	each("copse_raft_is_leader", metric.GaugeKind, "Whether this member leads the shard.", func(v *shardView) {
		w.Bool(n.host.Leads(v.id), "shard", v.label)
	})
	each("copse_raft_leader_changes_total", metric.CounterKind, "Leaders of the shard that this member has seen come.", func(v *shardView) {
		w.Uint(n.host.LeaderChanges(v.id), "shard", v.label)
	})
	each("copse_raft_term", metric.GaugeKind, "The shard's highest raft term seen here.", func(v *shardView) {
		w.Uint(n.host.Term(v.id), "shard", v.label)
	})
	each("copse_raft_applied_index", metric.GaugeKind, "The shard's last raft entry applied here.", func(v *shardView) {
		w.Uint(v.machine.RaftIndex(), "shard", v.label)
	})
}

func (n *Node) writeWrites(w *metric.Writer, each family) {
	each("copse_raft_proposals_total", metric.CounterKind, "Writes proposed by this member, or refused before that, by outcome. Of those that timed out or met the stop, it is unknown whether they are applied.", func(v *shardView) {
		for result, writes := range v.actor.Measures().Outcomes {
			w.Uint(writes, "shard", v.label, "result", result)
		}
	})
	each("copse_raft_proposals_pending", metric.GaugeKind, "Writes that wait to be proposed or applied.", func(v *shardView) {
		w.Uint(v.actor.Pending(), "shard", v.label)
	})
	each("copse_raft_batch_writes", metric.HistogramKind, "Writes in one raft entry proposed here.", func(v *shardView) {
		w.Histogram(v.actor.Measures().Batch, "shard", v.label)
	})
	each("copse_raft_commit_duration_seconds", metric.HistogramKind, "From a batch's being proposed to its having been applied here: the raft log's sync, a quorum's, and applying it. The log's own sync can't be had from the engine.", func(v *shardView) {
		w.Histogram(v.actor.Measures().Commit, "shard", v.label)
	})
}

func (n *Node) writeRounds(w *metric.Writer, each family) {
	each("copse_read_index_duration_seconds", metric.HistogramKind, "Rounds that made sure of a quorum for linearizable reads, probes among them.", func(v *shardView) {
		w.Histogram(v.lane.Rounds, "shard", v.label)
	})
	each("copse_read_index_failed_total", metric.CounterKind, "Such rounds that failed.", func(v *shardView) {
		w.Uint(v.lane.Failed.Load(), "shard", v.label)
	})
	each("copse_apply_duration_seconds", metric.HistogramKind, "Applying what raft hands over at once, to the store's commit, which isn't synced.", func(v *shardView) {
		w.Histogram(v.machine.Measures().Apply, "shard", v.label)
	})
	each("copse_apply_batch_entries", metric.HistogramKind, "Raft entries that are handed over to be applied at once.", func(v *shardView) {
		w.Histogram(v.machine.Measures().Entries, "shard", v.label)
	})
}

func (n *Node) writeStore(w *metric.Writer, each family) {
	each("copse_store_sync_duration_seconds", metric.HistogramKind, "Syncs of the store, which come before the raft log is let go.", func(v *shardView) {
		w.Histogram(v.machine.Measures().Sync, "shard", v.label)
	})
	stores := map[uint64]statemachine.StoreMetrics{}
	for _, v := range n.groups() {
		if m, err := v.machine.StoreMetrics(); err == nil { // else it is closed: the member stops
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
	each("copse_store_nodes", metric.GaugeKind, "Nodes of the tree, directories and hidden ones too.", func(v *shardView) {
		w.Uint(v.machine.Nodes(), "shard", v.label)
	})
	each("copse_store_expirations", metric.GaugeKind, "Nodes of the tree that have a time to live.", func(v *shardView) {
		w.Uint(v.machine.Expirations(), "shard", v.label)
	})
	gauge("copse_store_bytes", "The store's files, without the raft log.", func(m *statemachine.StoreMetrics) uint64 { return m.DiskBytes })
	gauge("copse_store_node_bytes", "About what keys and values take of that, as they are compressed; an estimate that leaves out what is still in memory only.", func(m *statemachine.StoreMetrics) uint64 { return m.NodeBytes })
	gauge("copse_store_memtable_bytes", "What is still in memory only, and in the log.", func(m *statemachine.StoreMetrics) uint64 { return m.MemTableBytes })
	gauge("copse_store_compaction_debt_bytes", "About how much compactions have yet to work through.", func(m *statemachine.StoreMetrics) uint64 { return m.CompactBytes })
	gauge("copse_store_read_amplification", "Places on disk where a read may have to look.", func(m *statemachine.StoreMetrics) uint64 { return m.ReadAmp })
	each("copse_store_compactions_total", metric.CounterKind, "Compactions of the store.", func(v *shardView) {
		if m, ok := stores[v.id]; ok {
			w.Uint(m.Compactions, "shard", v.label)
		}
	})
	for _, m := range stores { // the cache is one for all of them, so any knows it
		w.Gauge("copse_store_cache_bytes", "Memory in use by the cache of the stores' blocks.", float64(m.CacheBytes))
		w.Counter("copse_store_cache_hits_total", "Blocks found in that cache.", m.CacheHits)
		w.Counter("copse_store_cache_misses_total", "Blocks that had to be read.", m.CacheMisses)
		break
	}
	s := n.router.Stats()
	w.Family("copse_store_operations_total", metric.CounterKind, "v2's operations by outcome, as /v2/stats/store has them: reads served here, writes applied, which every member counts alike.")
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

func (n *Node) writeTime(w *metric.Writer, views []shardView) {
	lag, now := time.Duration(0), time.Now()
	for _, v := range views {
		lag = max(lag, v.machine.ExpiryLag(now))
	}
	w.Gauge("copse_expiry_lag_seconds", "How late the earliest expiration is that hasn't been dealt with; 0 if none is due.", lag.Seconds())
}

func (n *Node) writeWindow(w *metric.Writer, each family) {
	each("copse_history_oldest_index", metric.GaugeKind, "The first index that waitIndex can reach back to.", func(v *shardView) {
		w.Uint(uint64(v.hub.Floor(v.machine.Index())), "shard", v.label)
	})
	each("copse_history_newest_index", metric.GaugeKind, "The index of the latest change.", func(v *shardView) {
		w.Uint(uint64(v.machine.Index()), "shard", v.label)
	})
	each("copse_watch_registered", metric.GaugeKind, "Watches that the shard delivers to.", func(v *shardView) {
		w.Uint(uint64(v.hub.Watchers()), "shard", v.label)
	})
}
