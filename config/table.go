package config

import (
	"log/slog"
	"net/url"
	"strconv"
	"time"
)

// group is a part of the table, with its heading in the help.
type group struct {
	name     string
	settings []setting
}

// groups is the table, in the order of the help. A flag that etcd has keeps
// etcd's name, unit and meaning.
func groups() []group {
	return []group{
		{"Member", memberSettings()},
		{"Cluster", clusterSettings()},
		{"Security of clients", securitySettings("", "The certificate for https in listen-client-urls and listen-metrics-urls, PEM.",
			func(c *Config) *TLS { return &c.ClientTLS })},
		{"Security of members", securitySettings("peer-", "The certificate for https in listen-peer-urls, PEM; this member shows it to others too.",
			func(c *Config) *TLS { return &c.PeerTLS })},
		{"Raft", raftSettings()},
		{"Requests", requestSettings()},
		{"Resources", resourceSettings()},
		{"Operations", operationsSettings()},
	}
}

func memberSettings() []setting {
	return []setting{
		{"config-file", "path", "A YAML file of settings, under the names of the flags.", "",
			text(func(c *Config) *string { return &c.ConfigFile })},
		{"name", "text", "This member's name.", "",
			text(func(c *Config) *string { return &c.Name })},
		{"data-dir", "path", "Where the data is kept.", "<name>.copse",
			text(func(c *Config) *string { return &c.DataDir })},
		{"listen-client-urls", "urls", "Where clients are served, http or https.", "",
			urls(func(c *Config) *[]url.URL { return &c.ListenClientURLs })},
		{"listen-peer-urls", "urls", "Where other members are served, http or https.", "",
			urls(func(c *Config) *[]url.URL { return &c.ListenPeerURLs })},
	}
}

func clusterSettings() []setting {
	return []setting{
		{"advertise-client-urls", "urls", "How clients reach this member; libraries learn endpoints from it.",
			"from listen-client-urls, with the host name for 0.0.0.0",
			urls(func(c *Config) *[]url.URL { return &c.AdvertiseClientURLs })},
		{"initial-advertise-peer-urls", "urls", "How other members reach this one.",
			"from initial-cluster, or from listen-peer-urls as above",
			urls(func(c *Config) *[]url.URL { return &c.InitialAdvertisePeerURLs })},
		{"initial-cluster", "name=url,...", "The founding members, this one among them; a name may come once for each of its URLs.",
			"<name>=<initial-advertise-peer-urls>",
			bind(func(c *Config) *[]Member { return &c.InitialCluster }, parseMembers, printMembers)},
		{"initial-cluster-state", states, "new: a fresh data directory founds a cluster. existing: it joins one.", "",
			choice(states, func(c *Config) *string { return &c.InitialClusterState })},
		{"initial-cluster-token", "text", "Tells clusters apart that were founded alike.", "",
			text(func(c *Config) *string { return &c.InitialClusterToken })},
		{"shards", "n", "Shards that the tree is spread over by top-level names, 1 to 64, each with a leader of its own. More than 1 only where one leader is the limit: a write then takes two rounds. Fixed when the cluster is founded; see docs/SHARDS.md.", "",
			count(func(c *Config) *int { return &c.Shards })},
		{"force-new-cluster", "true|false", "Make this member the only one of its cluster, with its data. To recover from a majority lost for good; never where the others may come back.", "",
			boolean(func(c *Config) *bool { return &c.ForceNewCluster })},
	}
}

// securitySettings are etcd's for one kind of port; clients' have no prefix.
func securitySettings(prefix, certificate string, at func(*Config) *TLS) []setting {
	return []setting{
		{prefix + "cert-file", "path", certificate, "",
			text(func(c *Config) *string { return &at(c).CertFile })},
		{prefix + "key-file", "path", "Its key, PEM.", "",
			text(func(c *Config) *string { return &at(c).KeyFile })},
		{prefix + "trusted-ca-file", "path", "The authorities whose certificates are trusted, PEM. Turns " + prefix + "client-cert-auth on, as in etcd 3.", "",
			text(func(c *Config) *string { return &at(c).TrustedCAFile })},
		{prefix + "client-cert-auth", "true|false", "Serve only who shows a certificate that " + prefix + "trusted-ca-file vouches for.",
			"true with " + prefix + "trusted-ca-file",
			boolean(func(c *Config) *bool { return &at(c).ClientCertAuth })},
	}
}

func raftSettings() []setting {
	return []setting{
		{"heartbeat-interval", "ms", "How often a leader shows itself, in milliseconds.", "",
			milliseconds(func(c *Config) *time.Duration { return &c.Heartbeat })},
		{"election-timeout", "ms", "How long a silent leader is trusted, in milliseconds.", "",
			milliseconds(func(c *Config) *time.Duration { return &c.ElectionTimeout })},
		{"snapshot-count", "n", "Raft entries between two compactions of the log; at least 1000.", "",
			bind(func(c *Config) *uint64 { return &c.SnapshotCount }, parseUnsigned,
				func(n uint64) string { return strconv.FormatUint(n, 10) })},
	}
}

func requestSettings() []setting {
	return []setting{
		{"cors", "origins", "Origins that browsers may call from: a list, or *. Empty is off.", "off",
			bind(func(c *Config) *[]string { return &c.CORS }, parseOrigins, printList)},
		{"event-history", "n", "Events that waitIndex can reach back to.", "",
			count(func(c *Config) *int { return &c.EventHistory })},
		{"event-history-bytes", "size", "Size of those events as JSON, in each shard: fewer are kept where they are larger.", "",
			size(func(c *Config) *int64 { return &c.EventHistoryBytes })},
		{"max-request-bytes", "size", "Largest body of a request.", "",
			size(func(c *Config) *int { return &c.MaxRequestBytes })},
		{"max-header-bytes", "size", "Largest request line with headers; each connection in use has a buffer of this size.", "",
			size(func(c *Config) *int { return &c.MaxHeaderBytes })},
		{"request-timeout", "duration", "How long a write or a quorum read may take; 0 is the default.",
			"5s + 2 x election-timeout",
			duration(func(c *Config) *time.Duration { return &c.RequestTimeout })},
		{"read-timeout", "duration", "How long a client may take to send a request.", "",
			duration(func(c *Config) *time.Duration { return &c.ReadTimeout })},
		{"idle-timeout", "duration", "How long a connection is kept between two requests.", "",
			duration(func(c *Config) *time.Duration { return &c.IdleTimeout })},
	}
}

func resourceSettings() []setting {
	return []setting{
		{"cache-size", "size", "Memory for the cache of the store's blocks.", "",
			size(func(c *Config) *int64 { return &c.CacheSize })},
		{"disk-reserve", "size", "What must stay free on the disk: below it, writes that grow the store are refused, so that log and store can finish what they began. 0 is off.", "",
			size(func(c *Config) *int64 { return &c.DiskReserve })},
	}
}

func operationsSettings() []setting {
	metrics := bind(func(c *Config) *[]url.URL { return &c.ListenMetricsURLs }, parseSwitchedURLs, printSwitchedURLs)
	metrics.empty = true
	return []setting{
		{"listen-metrics-urls", "urls", "The operations port: health, readiness, metrics. off, or an empty flag, leaves it out.", "", metrics},
		{"enable-pprof", "true|false", "Serve profiles at /debug/pprof/ on the operations port.", "",
			boolean(func(c *Config) *bool { return &c.EnablePprof })},
		{"drain-delay", "duration", "How long a member that was told to stop goes on serving while it says that it is not ready, for load balancers to notice.", "",
			duration(func(c *Config) *time.Duration { return &c.DrainDelay })},
		{"slow-request", "duration", "Requests that take longer are logged. 0 is off.", "",
			duration(func(c *Config) *time.Duration { return &c.SlowRequest })},
		{"log-format", formats, "How log lines are written; auto is text on a terminal and json elsewhere.", "",
			choice(formats, func(c *Config) *string { return &c.LogFormat })},
		{"log-level", "debug|info|warn|error", "The least serious lines that are logged.", "",
			bind(func(c *Config) *slog.Level { return &c.LogLevel }, parseLevel, printLevel)},
	}
}

// What some settings can be.
const (
	states  = "new|existing"
	formats = "auto|text|json"
)
