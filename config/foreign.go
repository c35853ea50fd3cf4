package config

import (
	"slices"
	"strings"
)

// foreign is a flag of etcd that copse knows and doesn't serve.
type foreign struct {
	flag    string
	boolean bool
	// refused says what a value would ask for that must not be dropped silently.
	// Empty: the flag has no meaning here, and is only mentioned.
	refused string
	// harmless values of a refused flag ask for nothing.
	harmless []string
}

// objects reports whether the flag must not be given this value.
func (f *foreign) objects(value string) bool {
	return f.refused != "" && value != "" && !slices.Contains(f.harmless, value)
}

// foreigners lists etcd's other flags, from 2.3 to 3.5.
func foreigners() []foreign {
	var list []foreign
	for _, name := range strings.Fields(`
		wal-dir max-snapshots max-wals quota-backend-bytes backend-bbolt-freelist-type
		backend-batch-interval backend-batch-limit max-txn-ops max-concurrent-streams
		grpc-keepalive-min-time grpc-keepalive-interval grpc-keepalive-timeout
		raft-read-timeout raft-write-timeout listen-metrics-urls
		discovery-proxy discovery-fallback discovery-srv-name
		auto-compaction-retention auto-compaction-mode v2-deprecation
		proxy-failure-wait proxy-refresh-interval proxy-dial-timeout
		proxy-write-timeout proxy-read-timeout
		cipher-suites tls-min-version tls-max-version self-signed-cert-validity
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
		enable-grpc-gateway socket-reuse-port socket-reuse-address enable-pprof debug
		enable-log-rotation force-new-cluster unsafe-no-fsync
		experimental-peer-skip-client-san-verification experimental-enable-distributed-tracing
		experimental-initial-corrupt-check experimental-compact-hash-check-enabled
		experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist
		experimental-memory-mlock experimental-txn-mode-write-with-shared-buffer
		experimental-stop-grpc-service-on-defrag force snapshot`) {
		list = append(list, foreign{flag: name, boolean: true})
	}
	const tls = "TLS is not served yet; without it the traffic would be open"
	for _, name := range strings.Fields(`
		cert-file key-file ca-file trusted-ca-file client-cert-file client-key-file
		client-crl-file client-cert-allowed-hostname
		peer-cert-file peer-key-file peer-ca-file peer-trusted-ca-file peer-client-cert-file
		peer-client-key-file peer-crl-file peer-cert-allowed-cn peer-cert-allowed-hostname`) {
		list = append(list, foreign{flag: name, refused: tls})
	}
	for _, name := range strings.Fields(`client-cert-auth auto-tls peer-client-cert-auth peer-auto-tls`) {
		list = append(list, foreign{name, true, tls, []string{"false", "f", "0", "F", "FALSE", "False"}})
	}
	return append(list,
		foreign{"host-whitelist", false, "a list of allowed hosts is not served yet", []string{"*"}},
		foreign{"proxy", false, "copse is no proxy", []string{"off"}},
		foreign{"discovery", false, "clusters of several members are not served yet", nil},
		foreign{"discovery-srv", false, "clusters of several members are not served yet", nil},
		foreign{"listen-client-http-urls", false, "give these URLs in --listen-client-urls", nil},
		foreign{"config-file", false, "files of settings are not read yet; give flags or the environment", nil},
		foreign{"config", false, "files of settings are not read yet; give flags or the environment", nil},
	)
}
