package config

import (
	"log/slog"
	"net/url"
	"time"
)

// group is a part of the table, with its heading in the help.
type group struct {
	name     string
	settings []setting
}

// groups is the table, in the order of the help. Flags that etcd has too keep their
// name, unit and meaning.
func groups() []group {
	return []group{
		{"Member", memberSettings()},
		{"Cluster", clusterSettings()},
		{"Security of clients", securitySettings("", "Certificate (PEM) for https in listen-client-urls and listen-metrics-urls.",
			func(c *Config) *TLS { return &c.ClientTLS })},
		{"Security of members", peerSecuritySettings()},
		{"Raft", raftSettings()},
		{"Requests", requestSettings()},
		{"Resources", resourceSettings()},
		{"Operations", operationsSettings()},
	}
}

func memberSettings() []setting {
	return []setting{
		{"config-file", "path", "YAML file with settings, named like the flags.", "",
			text(func(c *Config) *string { return &c.ConfigFile })},
		{"name", "text", "This member's name.", "",
			text(func(c *Config) *string { return &c.Name })},
		{"data-dir", "path", "Data directory.", "<name>.copse",
			text(func(c *Config) *string { return &c.DataDir })},
		{"listen-client-urls", "urls", "Addresses to serve clients on, http or https.", "",
			urls(func(c *Config) *[]url.URL { return &c.ListenClientURLs })},
		{"listen-peer-urls", "urls", "Addresses to serve other members on, http or https.", "",
			urls(func(c *Config) *[]url.URL { return &c.ListenPeerURLs })},
	}
}

func clusterSettings() []setting {
	return []setting{
		{"advertise-client-urls", "urls", "URLs for clients to reach this member; client libraries discover endpoints from them.",
			"listen-client-urls, with the host name in place of 0.0.0.0",
			urls(func(c *Config) *[]url.URL { return &c.AdvertiseClientURLs })},
		{"initial-advertise-peer-urls", "urls", "URLs for other members to reach this one.",
			"from initial-cluster, else listen-peer-urls as above",
			urls(func(c *Config) *[]url.URL { return &c.InitialAdvertisePeerURLs })},
		{"initial-cluster", "name=url,...", "The founding members, including this one. Repeat a name to give it several URLs.",
			"<name>=<initial-advertise-peer-urls>",
			bind(func(c *Config) *[]Member { return &c.InitialCluster }, parseMembers, printMembers)},
		{"initial-cluster-state", states, "With an empty data directory: new founds a cluster, existing joins one.", "",
			choice(states, func(c *Config) *string { return &c.InitialClusterState })},
		{"initial-cluster-token", "text", "Distinguishes clusters that were founded with the same URLs.", "",
			text(func(c *Config) *string { return &c.InitialClusterToken })},
		{"shards", "n", "Number of shards, up to 64. The tree is divided by top-level name; each shard has its own leader. Use more than 1 only if one leader is the bottleneck, as a write then takes two rounds. Fixed when the cluster is founded; see docs/SHARDS.md.", "",
			count(func(c *Config) *int { return &c.Shards })},
		{"mirror-from", "urls", "With an empty data directory: client URLs of a live etcd that the new cluster follows, until copse mirror promote; see docs/MIGRATING.md. All founding members need it; later starts don't.", "",
			urls(func(c *Config) *[]url.URL { return &c.MirrorFrom })},
		{"mirror-trusted-ca-file", "path", "Certificate authorities (PEM) that may have signed the certificate of the etcd of mirror-from, beside the system's. This and the next two are needed at every start until the promotion.", "",
			text(func(c *Config) *string { return &c.MirrorTLS.CA })},
		{"mirror-cert-file", "path", "Certificate (PEM) to show to that etcd, if it asks for one.", "",
			text(func(c *Config) *string { return &c.MirrorTLS.Cert })},
		{"mirror-key-file", "path", "Private key (PEM) of that certificate.", "",
			text(func(c *Config) *string { return &c.MirrorTLS.Key })},
		{"force-new-cluster", "true|false", "Make this member the only one of its cluster, keeping its data. Only for recovery after the permanent loss of a majority, never if other members may come back.", "",
			boolean(func(c *Config) *bool { return &c.ForceNewCluster })},
		{"bump-index", "n", "With force-new-cluster, how much to add to X-Etcd-Index: more than there can have been changes that this member's data lacks. Clients that watch from an index of the past, up to there, get errorCode 401 and read anew.", "",
			unsigned(func(c *Config) *uint64 { return &c.BumpIndex })},
	}
}

// securitySettings are etcd's for one kind of port; clients' have no prefix.
func securitySettings(prefix, certificate string, at func(*Config) *TLS) []setting {
	return []setting{
		{prefix + "cert-file", "path", certificate, "",
			text(func(c *Config) *string { return &at(c).Cert })},
		{prefix + "key-file", "path", "Private key (PEM) of the certificate.", "",
			text(func(c *Config) *string { return &at(c).Key })},
		{prefix + "trusted-ca-file", "path", "Trusted certificate authorities (PEM). Turns on " + prefix + "client-cert-auth, as in etcd 3.", "",
			text(func(c *Config) *string { return &at(c).CA })},
		{prefix + "client-cert-auth", "true|false", "Require a certificate signed by an authority of " + prefix + "trusted-ca-file.",
			"true with " + prefix + "trusted-ca-file",
			boolean(func(c *Config) *bool { return &at(c).ClientAuth })},
		{sideOf(prefix) + "crl-file", "path", "Certificates that their authorities have revoked (PEM, or one list in DER); they are refused.", "",
			text(func(c *Config) *string { return &at(c).CRL })},
		{sideOf(prefix) + "cert-allowed-cn", "name", "The only common name that certificates may have.", "",
			text(func(c *Config) *string { return &at(c).AllowedCN })},
		{sideOf(prefix) + "cert-allowed-hostname", "name", "A host name or address that certificates must be for.", "",
			text(func(c *Config) *string { return &at(c).AllowedHostname })},
		{prefix + "auto-tls", "true|false", "Without " + prefix + "cert-file, use a certificate that signs itself, made at the start and kept in the data directory.", "",
			boolean(func(c *Config) *bool { return &at(c).Auto })},
	}
}

func peerSecuritySettings() []setting {
	list := securitySettings("peer-", "Certificate (PEM) for https in listen-peer-urls, also shown when dialling other members.",
		func(c *Config) *TLS { return &c.PeerTLS })
	return append(list,
		setting{"cluster-secret-file", "path", "File with the secret that all members share, at least 32 random characters. Members with https peer URLs then admit only each other, and need no certificates. Several lines: the first is used, all are accepted.", "",
			text(func(c *Config) *string { return &c.PeerTLS.Secret })},
		setting{"self-signed-cert-validity", "years", "How long the certificates of auto-tls and peer-auto-tls are good; then new ones are made.", "",
			count(func(c *Config) *int { return &c.SelfSignedYears })})
}

func raftSettings() []setting {
	return []setting{
		{"heartbeat-interval", "ms", "Interval between heartbeats of a leader, in milliseconds.", "",
			milliseconds(func(c *Config) *time.Duration { return &c.Heartbeat })},
		{"election-timeout", "ms", "Time without a heartbeat before an election, in milliseconds.", "",
			milliseconds(func(c *Config) *time.Duration { return &c.ElectionTimeout })},
		{"snapshot-count", "n", "Raft entries between compactions of the log; at least 1000.", "",
			unsigned(func(c *Config) *uint64 { return &c.SnapshotCount })},
	}
}

func requestSettings() []setting {
	return []setting{
		{"cors", "origins", "Allowed CORS origins: a list, or * for all. Empty is off.", "off",
			bind(func(c *Config) *[]string { return &c.CORS }, parseOrigins, printList)},
		{"event-history", "n", "Number of past events that waitIndex can reach.", "",
			count(func(c *Config) *int { return &c.EventHistory })},
		{"event-history-bytes", "size", "Size of those events as JSON, in each shard: if they are larger, fewer are kept.", "",
			size(func(c *Config) *int64 { return &c.EventHistoryBytes })},
		{"event-history-per-prefix", "n", "Number of past events that are also kept of each top-level name, so that waitIndex can reach them below that name whatever happens elsewhere. 0 is off. See docs/OPERATING.md for what it costs.", "",
			count(func(c *Config) *int { return &c.PerName.Events })},
		{"event-history-per-prefix-bytes", "size", "Size of those events of one name as JSON: if they are larger, fewer are kept.", "",
			size(func(c *Config) *int64 { return &c.PerName.Bytes })},
		{"event-history-per-prefix-age", "duration", "How long those events are kept. 0 is as long as there is room.", "",
			duration(func(c *Config) *time.Duration { return &c.PerName.Age })},
		{"event-history-prefixes", "n", "Number of names in each shard whose events are kept. Further names get their turn when those of another have become too old.", "",
			count(func(c *Config) *int { return &c.PerName.Names })},
		{"event-history-prefixes-bytes", "size", "Size as JSON of the events that are kept of all names, in each shard: if they are larger, fewer are kept of the names that have most.", "",
			size(func(c *Config) *int64 { return &c.PerName.Total })},
		{"max-request-bytes", "size", "Maximum size of a request body.", "",
			size(func(c *Config) *int { return &c.MaxRequestBytes })},
		{"max-header-bytes", "size", "Maximum size of request line and headers together. Memory is taken as a request needs it.", "",
			size(func(c *Config) *int { return &c.MaxHeaderBytes })},
		{"request-timeout", "duration", "Timeout of a write or a quorum read; 0 is the default.",
			"5s + 2 x election-timeout",
			duration(func(c *Config) *time.Duration { return &c.RequestTimeout })},
		{"ttl-pause", "true|false", "Times to live stand still while nothing can be written, as without a leader: whoever refreshes a key in time keeps it. With false, a key expires by the time of day of whoever leads next.", "",
			boolean(func(c *Config) *bool { return &c.TTLPause })},
		{"read-timeout", "duration", "Timeout for a client to send a request.", "",
			duration(func(c *Config) *time.Duration { return &c.ReadTimeout })},
		{"idle-timeout", "duration", "How long an idle connection is kept open.", "",
			duration(func(c *Config) *time.Duration { return &c.IdleTimeout })},
	}
}

func resourceSettings() []setting {
	return []setting{
		{"cache-size", "size", "Memory for the caches: half for blocks of the store, a quarter each for nodes and for printed listings and values. It is taken as there is something to keep. The default is a sixteenth of the memory within the bounds given, and never more than a quarter of a container's limit.", "128MiB to 1GiB",
			size(func(c *Config) *int64 { return &c.CacheSize })},
		{"disk-reserve", "size", "Disk space to keep free. Below it, writes that grow the store are refused, so that log and store can complete what they have begun. 0 is off.", "",
			size(func(c *Config) *int64 { return &c.DiskReserve })},
		{"timer-slack", "duration", "How late the kernel may wake the process's threads, at most 10ms: Go's runtime then takes less CPU time. The process starts over once to set it. 0 leaves it as it is.", "",
			duration(func(c *Config) *time.Duration { return &c.TimerSlack })},
	}
}

func operationsSettings() []setting {
	metrics := bind(func(c *Config) *[]url.URL { return &c.ListenMetricsURLs }, parseSwitchedURLs, printSwitchedURLs)
	metrics.empty = true
	return []setting{
		{"listen-metrics-urls", "urls", "Addresses of the operations port, with probes and metrics; off, or an empty flag, disables it.", "", metrics},
		{"ui", pageModes, "A web page at /ui/ to look at keys, events and the cluster. With read, only a user who logs in changes keys on the operations port, and so only where auth is on; with write, whoever reaches that port may do what clients without a password may. See docs/SECURITY.md before you open the port to others.",
			"read, if the operations port is on loopback and clients need no certificate; else off",
			choice(pageModes, func(c *Config) *string { return &c.UI })},
		{"ui-port", pagePorts, "The port with the web page. On the client port it can do whatever a client can, and ui says only what it offers.", "",
			choice(pagePorts, func(c *Config) *string { return &c.UIPort })},
		{"root-password-file", "path", "At the start, give the user root the password in this file, whatever it was: when it is lost.", "",
			text(func(c *Config) *string { return &c.RootPasswordFile })},
		{"enable-pprof", "true|false", "Serve Go profiles at /debug/pprof/ on the operations port.", "",
			boolean(func(c *Config) *bool { return &c.EnablePprof })},
		{"drain-delay", "duration", "On a stop, how long to keep serving while /readyz fails, for load balancers to notice.", "",
			duration(func(c *Config) *time.Duration { return &c.DrainDelay })},
		{"slow-request", "duration", "Log requests that take longer. 0 is off.", "",
			duration(func(c *Config) *time.Duration { return &c.SlowRequest })},
		{"log-format", formats, "Format of the log; auto is text on a terminal, json otherwise.", "",
			choice(formats, func(c *Config) *string { return &c.LogFormat })},
		{"log-level", "debug|info|warn|error", "Lowest level that is logged.", "",
			bind(func(c *Config) *slog.Level { return &c.LogLevel }, parseLevel, printLevel)},
	}
}

// Choices of some settings.
const (
	states  = "new|existing"
	formats = "auto|text|json"

	pageModes      = "off|read|write"
	pagePorts      = portOperations + "|" + portClients
	portOperations = "operations"
	portClients    = "clients"
)
