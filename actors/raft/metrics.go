package raft

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	"copse/statemachine/metric"

	"github.com/lni/dragonboat/v4"
)

// dragonboatHelp describes dragonboat's metrics, which come without a description. One
// that isn't listed here is exported too.
var dragonboatHelp = map[string]string{
	"dragonboat_raftnode_campaign_launched_total":                   "Elections in which this replica was a candidate.",
	"dragonboat_raftnode_campaign_skipped_total":                    "Elections in which this replica was no candidate, because it had entries to apply.",
	"dragonboat_raftnode_snapshot_rejected_total":                   "Snapshots that were refused.",
	"dragonboat_raftnode_replication_rejected_total":                "Entries of the leader that didn't match this replica's log.",
	"dragonboat_raftnode_proposal_dropped_total":                    "Proposals that were dropped because there was no leader.",
	"dragonboat_raftnode_read_index_dropped_total":                  "Rounds of read-index that were dropped because there was no leader.",
	"dragonboat_raftnode_has_leader":                                "Whether the replica knows a leader.",
	"dragonboat_raftnode_term":                                      "The replica's raft term.",
	"dragonboat_transport_message_connections":                      "Connections to other members for messages.",
	"dragonboat_transport_snapshot_connections":                     "Connections to other members for snapshots.",
	"dragonboat_transport_message_send_failure_total":               "Messages that couldn't be sent.",
	"dragonboat_transport_message_send_success_total":               "Messages sent.",
	"dragonboat_transport_snapshot_send_failure_total":              "Snapshots that couldn't be sent.",
	"dragonboat_transport_snapshot_send_success_total":              "Snapshots sent.",
	"dragonboat_transport_received_message_total":                   "Messages received.",
	"dragonboat_transport_received_message_dropped_total":           "Messages received and dropped.",
	"dragonboat_transport_received_snapshot_total":                  "Snapshots received.",
	"dragonboat_transport_failed_message_connection_attempt_total":  "Connections for messages that couldn't be made.",
	"dragonboat_transport_failed_snapshot_connection_attempt_total": "Connections for snapshots that couldn't be made.",
}

// writeDragonboat writes what dragonboat counts for the whole process, as families
// with a description and a type.
func writeDragonboat(w *metric.Writer) {
	var text bytes.Buffer
	dragonboat.WriteHealthMetrics(&text)
	describe(w, text.Bytes())
}

// describe writes the samples in text, one a line, as families.
func describe(w *metric.Writer, text []byte) {
	families := map[string][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if end := strings.IndexAny(line, "{ "); end > 0 && line[0] != '#' {
			families[line[:end]] = append(families[line[:end]], line)
		}
	}
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		kind := metric.GaugeKind
		if strings.HasSuffix(name, "_total") {
			kind = metric.CounterKind
		}
		help := dragonboatHelp[name]
		if help == "" {
			help = "As dragonboat counts it."
		}
		w.Family(name, kind, help)
		slices.Sort(families[name])
		for _, line := range families[name] {
			w.Line(line)
		}
	}
}
