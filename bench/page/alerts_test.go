package page

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// notEvaluated are the alerts that a page can't evaluate; docs/OPERATING.md says why.
var notEvaluated = []string{"CopseDown", "CopseDiskFilling"}

// provoked are samples of two scrapes, half an hour apart with one of the same numbers every
// minute, that make each of the other alerts hold, and nothing else hold.
var provoked = map[string][2]string{
	"CopseNoLeader":        {`copse_raft_has_leader{shard="1"} 0`, `copse_raft_has_leader{shard="1"} 0`},
	"CopseReplicaDiffers":  {`copse_replica_differs{shard="1"} 1`, `copse_replica_differs{shard="1"} 1`},
	"CopseLeaderFlapping":  {`copse_raft_leader_changes_total{shard="1"} 1`, `copse_raft_leader_changes_total{shard="1"} 9`},
	"CopseWritesFail":      {`copse_raft_proposals_total{shard="1",result="timeout"} 1`, `copse_raft_proposals_total{shard="1",result="timeout"} 9`},
	"CopseServerErrors":    {"copse_http_requests_total{method=\"GET\",route=\"/v2/keys\",code=\"500\"} 1\ncopse_http_requests_total{method=\"GET\",route=\"/v2/keys\",code=\"200\"} 1", "copse_http_requests_total{method=\"GET\",route=\"/v2/keys\",code=\"500\"} 9\ncopse_http_requests_total{method=\"GET\",route=\"/v2/keys\",code=\"200\"} 9"},
	"CopseSlowDisk":        {"copse_fsync_duration_seconds_bucket{le=\"0.5\"} 5\ncopse_fsync_duration_seconds_bucket{le=\"1\"} 5\ncopse_fsync_duration_seconds_bucket{le=\"+Inf\"} 5", "copse_fsync_duration_seconds_bucket{le=\"0.5\"} 5\ncopse_fsync_duration_seconds_bucket{le=\"1\"} 9\ncopse_fsync_duration_seconds_bucket{le=\"+Inf\"} 9"},
	"CopseSyncFails":       {"copse_fsync_failed_total 1", "copse_fsync_failed_total 2"},
	"CopseSlowCommits":     {"copse_raft_commit_duration_seconds_bucket{shard=\"1\",le=\"1\"} 5\ncopse_raft_commit_duration_seconds_bucket{shard=\"1\",le=\"+Inf\"} 5\ncopse_raft_commit_duration_seconds_bucket{shard=\"1\",le=\"4\"} 5", "copse_raft_commit_duration_seconds_bucket{shard=\"1\",le=\"1\"} 5\ncopse_raft_commit_duration_seconds_bucket{shard=\"1\",le=\"+Inf\"} 9\ncopse_raft_commit_duration_seconds_bucket{shard=\"1\",le=\"4\"} 9"},
	"CopsePeerUnreachable": {`copse_peer_appends_failed_total{peer="2",shard="1"} 1`, `copse_peer_appends_failed_total{peer="2",shard="1"} 9`},
	"CopseDiskReserve":     {"copse_disk_reserve_breached 1", "copse_disk_reserve_breached 1"},
	"CopseWatchesOutdated": {"copse_watch_outdated_total 1", "copse_watch_outdated_total 9000"},
	"CopseSlowStreams":     {"copse_watch_slow_total 1", "copse_watch_slow_total 9000"},
	"CopseExpiryLate":      {"copse_expiry_lag_seconds 6", "copse_expiry_lag_seconds 6"},
	"CopseFilesRunOut":     {"process_open_fds 95\nprocess_max_fds 100\ncopse_build_info{version=\"1\"} 1", "process_open_fds 95\nprocess_max_fds 100\ncopse_build_info{version=\"1\"} 1"},
	"CopseCertificateEnds": {`copse_tls_certificate_expiry_timestamp_seconds{side="client"} 100000`, `copse_tls_certificate_expiry_timestamp_seconds{side="client"} 100000`},
	"CopseCertificateBad":  {`copse_tls_reloads_total{side="client",result="failed"} 0`, `copse_tls_reloads_total{side="client",result="failed"} 1`},
}

// Each rule of deploy/prometheus is read by the page as a library of YAML reads it, and is
// either evaluated, which is tried with numbers, or said not to be.
func TestEachAlertIsEvaluatedOrSaidNotToBe(t *testing.T) {
	t.Parallel()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/OPERATING.md")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, startMembers(t, 1)[0].operations, 1000)
	type rule struct{ Name, Expr, Summary, Why string }
	read := eval[[]rule](b, `(async () => {
		const { read } = await import("/ui/alerts.js");
		return read(await (await fetch("/ui/alerts.yaml")).text()).map((r) => ({ Name: r.name, Expr: r.expr, Summary: r.summary, Why: r.why ?? "" }));
	})()`)
	for _, g := range file.Groups {
		for i, want := range g.Rules {
			if len(read) != len(g.Rules) {
				t.Fatalf("the page reads %d rules of %d", len(read), len(g.Rules))
			}
			got := read[i]
			if got.Name != want.Alert || strings.Join(strings.Fields(got.Expr), " ") != strings.Join(strings.Fields(want.Expr), " ") || got.Summary != want.Annotations["summary"] {
				t.Errorf("the page reads %+v, want %+v", got, want)
			}
			if evaluated := got.Why == ""; evaluated == slices.Contains(notEvaluated, got.Name) {
				t.Errorf("%s: evaluated is %v: %s", got.Name, evaluated, got.Why)
			}
			if got.Why != "" {
				if !strings.Contains(string(manual), "Two are shown as not evaluated: "+strings.Join(notEvaluated, ", since only Prometheus knows whether it can scrape a member, and ")) {
					t.Error("docs/OPERATING.md doesn't say which alerts aren't evaluated")
				}
				continue
			}
			samples, ok := provoked[got.Name]
			if !ok {
				t.Errorf("no numbers are tried for %s", got.Name)
				continue
			}
			if fired := b.firing(samples); !slices.Equal(fired, []string{got.Name}) {
				t.Errorf("the numbers of %s make %v fire", got.Name, fired)
			}
			if fired := b.firing([2]string{samples[0], samples[0]}); len(fired) > 0 && strings.Contains(got.Expr, "[") {
				t.Errorf("%v fire though nothing has changed", fired)
			}
		}
	}
}

// firing returns the alerts that fire after an hour of the first scrape and a half of ones
// that lead, evenly, to the second.
func (b *tab) firing(samples [2]string) []string {
	b.t.Helper()
	in, err := json.Marshal(samples)
	if err != nil {
		b.t.Fatal(err)
	}
	return eval[[]string](b, fmt.Sprintf(`(async () => {
		const { Alerts } = await import("/ui/alerts.js"), { History, parse } = await import("/ui/metrics.js");
		const alerts = new Alerts(await (await fetch("/ui/alerts.yaml")).text()), history = new History(new Set(alerts.names));
		const [first, last] = %s.map(parse);
		let found;
		for (let n = 0; n <= 60; n++) {
			history.add(n * 30, last.map((s, i) => ({ ...s, value: first[i].value + (s.value - first[i].value) * n / 60 })));
			found = alerts.look(history, "m1");
		}
		return found.filter((a) => a.state === "fires").map((a) => a.rule.name);
	})()`, in))
}
