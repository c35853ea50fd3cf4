package config

import (
	"fmt"
	"slices"
	"strings"
)

// foreign is a flag of etcd that copse doesn't support.
type foreign struct {
	flag    string
	boolean bool
	// refused is why the flag can't be ignored. Empty: it has no effect here, and is only
	// mentioned.
	refused string
	// harmless values of a refused flag are accepted.
	harmless []string
}

// objects reports whether the value must be rejected.
func (f *foreign) objects(value string) bool {
	if f.refused == "" || value == "" || slices.Contains(f.harmless, value) {
		return false
	}
	on, err := parseBool(value)
	return !f.boolean || on || err != nil
}

// sortForeign returns the flags of etcd that are ignored, and errors for those that can't
// be.
func sortForeign(collected texts) (meaningless []string, complaints []error) {
	for _, f := range foreigners() {
		g, ok := collected[f.flag]
		switch {
		case !ok:
		case f.objects(g.text):
			complaints = append(complaints, fmt.Errorf("%s: %s", g.name, f.refused))
		case f.refused == "":
			meaningless = append(meaningless, g.name)
		}
	}
	slices.Sort(meaningless)
	return meaningless, complaints
}

// foreigners lists etcd's other flags, from 2.3 to 3.5.
func foreigners() []foreign {
	var list []foreign
	for _, name := range strings.Fields(`
		wal-dir max-snapshots max-wals quota-backend-bytes backend-bbolt-freelist-type
		backend-batch-interval backend-batch-limit max-txn-ops max-concurrent-streams
		grpc-keepalive-min-time grpc-keepalive-interval grpc-keepalive-timeout
		raft-read-timeout raft-write-timeout
		discovery-proxy discovery-fallback discovery-srv-name
		auto-compaction-retention auto-compaction-mode v2-deprecation
		proxy-failure-wait proxy-refresh-interval proxy-dial-timeout
		proxy-write-timeout proxy-read-timeout
		cipher-suites tls-max-version
		auth-token auth-token-ttl bcrypt-cost metrics
		logger log-output log-outputs log-package-levels log-rotation-config-json
		experimental-distributed-tracing-address experimental-distributed-tracing-service-name
		experimental-distributed-tracing-instance-id experimental-distributed-tracing-sampling-rate
		experimental-corrupt-check-time experimental-compact-hash-check-time
		experimental-enable-v2v3 experimental-backend-bbolt-freelist-type
		experimental-compaction-batch-limit experimental-compaction-sleep-interval
		experimental-watch-progress-notify-interval experimental-downgrade-check-time
		experimental-warning-apply-duration experimental-warning-unary-request-duration
		experimental-bootstrap-defrag-threshold-megabytes experimental-snapshot-catchup-entries
		experimental-max-learners
		cluster-active-size cluster-remove-delay cluster-sync-interval max-result-buffer
		max-retry-attempts peer-heartbeat-interval peer-election-timeout retry-interval`) {
		list = append(list, foreign{flag: name})
	}
	for _, name := range strings.Fields(`
		enable-v2 initial-election-tick-advance strict-reconfig-check pre-vote
		enable-grpc-gateway socket-reuse-port socket-reuse-address
		enable-log-rotation unsafe-no-fsync
		experimental-peer-skip-client-san-verification experimental-enable-distributed-tracing
		experimental-initial-corrupt-check experimental-compact-hash-check-enabled
		experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist
		experimental-memory-mlock experimental-txn-mode-write-with-shared-buffer
		experimental-stop-grpc-service-on-defrag force snapshot`) {
		list = append(list, foreign{flag: name, boolean: true})
	}
	const dialled = "members dial with the certificate of peer-cert-file; leave this out"
	return append(list,
		foreign{"client-cert-file", false, dialled, nil},
		foreign{"client-key-file", false, dialled, nil},
		foreign{"peer-client-cert-file", false, dialled, nil},
		foreign{"peer-client-key-file", false, dialled, nil},
		foreign{"tls-min-version", false, "the oldest version that is spoken is always TLS1.2", []string{"TLS1.0", "TLS1.1", "TLS1.2"}},
		foreign{"host-whitelist", false, "a list of allowed hosts is not served yet", []string{"*"}},
		foreign{"proxy", false, "copse is no proxy", []string{"off"}},
		foreign{"discovery", false, "discovery is not served: name the members in initial-cluster", nil},
		foreign{"discovery-srv", false, "discovery is not served: name the members in initial-cluster", nil},
		foreign{"listen-client-http-urls", false, "give these URLs in listen-client-urls", nil},
		foreign{"config", false, "give the file as config-file", nil},
	)
}
