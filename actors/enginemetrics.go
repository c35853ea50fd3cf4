package actors

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	"copse/statemachine/metric"

	"github.com/lni/dragonboat/v4"
)

// engineHelp says what the engine's metrics mean; it doesn't itself. One that
// is not listed is shown all the same.
var engineHelp = map[string]string{
	"dragonboat_raftnode_campaign_launched_total":                   "Elections that this replica stood for.",
	"dragonboat_raftnode_campaign_skipped_total":                    "Elections that this replica didn't stand for, since it had entries to apply.",
	"dragonboat_raftnode_snapshot_rejected_total":                   "Snapshots that were refused.",
	"dragonboat_raftnode_replication_rejected_total":                "Entries of the leader's that didn't fit this replica's log.",
	"dragonboat_raftnode_proposal_dropped_total":                    "Proposals that were dropped: there was no leader.",
	"dragonboat_raftnode_read_index_dropped_total":                  "Rounds of read-index that were dropped: there was no leader.",
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

// writeEngineMetrics writes what the engine counts, for the whole process, as
// families with a help and a type.
func writeEngineMetrics(w *metric.Writer) {
	var text bytes.Buffer
	dragonboat.WriteHealthMetrics(&text)
	describeEngine(w, text.Bytes())
}

// describeEngine gives the lines of text, which are samples, their families.
func describeEngine(w *metric.Writer, text []byte) {
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
		help := engineHelp[name]
		if help == "" {
			help = "As the raft engine counts it."
		}
		w.Family(name, kind, help)
		slices.Sort(families[name])
		for _, line := range families[name] {
			w.Line(line)
		}
	}
}
