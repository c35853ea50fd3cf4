package actors

import "copse/statemachine/metric"

// writeEtcd writes the same under the names that dashboards and alerts for etcd use:
// those of 2.3, and those of 3.x, where the store's metrics were renamed. Each means
// what it means in etcd, as closely as copse can; the help says where it can't.
func (n *Member) writeEtcd(w *metric.Writer, views []shardView) {
	s := n.router.Stats()
	ops := operations(&s)
	reads, writes := ops[:1], ops[1:]
	for _, prefix := range []string{"etcd_store_", "etcd_debugging_store_"} {
		counts := func(name, help string, ops []operation, of func(operation) uint64) {
			w.Family(prefix+name, metric.CounterKind, help)
			for _, op := range ops {
				w.Uint(of(op), "action", op.action)
			}
		}
		all := func(op operation) uint64 { return op.success + op.fail }
		failed := func(op operation) uint64 { return op.fail }
		counts("reads_total", "As etcd: reads served by this member; recursive ones are under get too.", reads, all)
		counts("reads_failed_total", "As etcd: failed reads.", reads, failed)
		counts("writes_total", "As etcd: writes seen by this member.", writes, all)
		counts("writes_failed_total", "As etcd: failed writes.", writes, failed)
		w.Counter(prefix+"expires_total", "As etcd: expired keys.", s.ExpireCount)
		w.Gauge(prefix+"watchers", "As etcd: parked watchers.", float64(s.Watchers))
	}

	led, leading := true, true
	var changes, pending, failed, applied uint64
	for _, v := range views {
		led = led && n.host.Leader(v.id).Member != 0
		leading = leading && n.host.Leads(v.id)
		changes += n.host.LeaderChanges(v.id)
		pending += v.actor.Pending()
		applied += v.machine.RaftIndex()
		failed += v.actor.Measures().Failed()
	}
	w.Family("etcd_server_has_leader", metric.GaugeKind, "As etcd: whether a leader is known, of every shard.")
	w.Bool(led)
	w.Family("etcd_server_is_leader", metric.GaugeKind, "As etcd: whether this member leads, every shard.")
	w.Bool(leading)
	w.Counter("etcd_server_leader_changes_seen_total", "As etcd: changes of leader seen, over all shards.", changes)
	for _, name := range []string{"etcd_server_pending_proposal_total", "etcd_server_proposals_pending"} {
		w.Gauge(name, "As etcd: proposals under way.", float64(pending))
	}
	for _, name := range []string{"etcd_server_proposal_failed_total", "etcd_server_proposals_failed_total"} {
		w.Counter(name, "As etcd: proposals that failed.", failed)
	}
	for _, name := range []string{"etcd_server_proposals_applied_total", "etcd_server_proposals_committed_total"} {
		w.Family(name, metric.GaugeKind, "As etcd: raft entries applied here, over all shards; copse doesn't know those that are committed and not yet applied.")
		w.Uint(applied)
	}
	w.Family("etcd_server_proposal_durations_seconds", metric.HistogramKind, "As etcd: the time to commit and apply a proposal.")
	for _, v := range views {
		w.Histogram(v.actor.Measures().Commit, "shard", v.label)
	}
	w.Family("etcd_disk_backend_commit_duration_seconds", metric.HistogramKind, "As etcd's backend commit: syncs of the store.")
	for _, v := range views {
		w.Histogram(v.machine.Measures().Sync, "shard", v.label)
	}
}
