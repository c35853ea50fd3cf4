package config

import (
	"log/slog"
	"net/url"
	"strconv"
	"time"
)

// setting is one row of the table that flags, environment, help and reports
// come from.
type setting struct {
	flag  string
	group string
	unit  string // what the help calls the value
	usage string
	// derived words, for the help, a default that follows from other settings.
	derived string
	field
}

// field reads and prints one field of a Config.
type field struct {
	set   func(c *Config, text string) error
	print func(c *Config) string
}

// bind makes a field of where a value is, how it is read and how it is printed.
func bind[T any](at func(*Config) *T, parse func(string) (T, error), print func(T) string) field {
	return field{
		set: func(c *Config, text string) error {
			v, err := parse(text)
			if err == nil {
				*at(c) = v
			}
			return err
		},
		print: func(c *Config) string { return print(*at(c)) },
	}
}

func text(at func(*Config) *string) field {
	return bind(at, func(s string) (string, error) { return s, nil }, func(s string) string { return s })
}

func urls(at func(*Config) *[]url.URL) field { return bind(at, parseURLs, printURLs) }

func milliseconds(at func(*Config) *time.Duration) field {
	return bind(at, parseMilliseconds, func(d time.Duration) string {
		return strconv.FormatInt(d.Milliseconds(), 10)
	})
}

func duration(at func(*Config) *time.Duration) field {
	return bind(at, parseDuration, time.Duration.String)
}

// The groups of the help, in its order.
func groups() []string { return []string{"Member", "Cluster", "Raft", "Requests", "Resources"} }

// settings is the table, in the order of the help. A flag that etcd has keeps
// etcd's name, unit and meaning.
func settings() []setting {
	return []setting{
		{"name", "Member", "text", "This member's name.", "",
			text(func(c *Config) *string { return &c.Name })},
		{"data-dir", "Member", "path", "Where the data is kept.", "<name>.copse",
			text(func(c *Config) *string { return &c.DataDir })},
		{"listen-client-urls", "Member", "urls", "Where clients are served.", "",
			urls(func(c *Config) *[]url.URL { return &c.ListenClientURLs })},
		{"listen-peer-urls", "Member", "urls", "Where other members are served.", "",
			urls(func(c *Config) *[]url.URL { return &c.ListenPeerURLs })},

		{"advertise-client-urls", "Cluster", "urls", "How clients reach this member; libraries learn endpoints from it.",
			"from listen-client-urls, with the host name for 0.0.0.0",
			urls(func(c *Config) *[]url.URL { return &c.AdvertiseClientURLs })},
		{"initial-advertise-peer-urls", "Cluster", "urls", "How other members reach this one.",
			"from initial-cluster, or from listen-peer-urls as above",
			urls(func(c *Config) *[]url.URL { return &c.InitialAdvertisePeerURLs })},
		{"initial-cluster", "Cluster", "name=url,...", "The founding members. Of one member, for now.",
			"<name>=<initial-advertise-peer-urls>",
			bind(func(c *Config) *[]Member { return &c.InitialCluster }, parseMembers, printMembers)},
		{"initial-cluster-state", "Cluster", "new|existing", "Whether a fresh data directory may found a cluster.", "",
			text(func(c *Config) *string { return &c.InitialClusterState })},
		{"initial-cluster-token", "Cluster", "text", "Tells clusters apart that were founded alike.", "",
			text(func(c *Config) *string { return &c.InitialClusterToken })},

		{"heartbeat-interval", "Raft", "ms", "How often a leader shows itself, in milliseconds.", "",
			milliseconds(func(c *Config) *time.Duration { return &c.Heartbeat })},
		{"election-timeout", "Raft", "ms", "How long a silent leader is trusted, in milliseconds.", "",
			milliseconds(func(c *Config) *time.Duration { return &c.ElectionTimeout })},
		{"snapshot-count", "Raft", "n", "Raft entries between two compactions of the log; at least 1000.", "",
			bind(func(c *Config) *uint64 { return &c.SnapshotCount }, parseUnsigned,
				func(n uint64) string { return strconv.FormatUint(n, 10) })},

		{"cors", "Requests", "origins", "Origins that browsers may call from: a list, or *. Empty is off.", "off",
			bind(func(c *Config) *[]string { return &c.CORS }, parseOrigins, printList)},
		{"event-history", "Requests", "n", "Events that waitIndex can reach back to.", "",
			bind(func(c *Config) *int { return &c.EventHistory }, parseCount, strconv.Itoa)},
		{"max-request-bytes", "Requests", "bytes", "Largest body of a request.", "",
			bind(func(c *Config) *int { return &c.MaxRequestBytes }, parseCount, strconv.Itoa)},
		{"max-header-bytes", "Requests", "bytes", "Largest request line with headers; each connection in use has a buffer of this size.", "",
			bind(func(c *Config) *int { return &c.MaxHeaderBytes }, parseCount, strconv.Itoa)},
		{"request-timeout", "Requests", "duration", "How long a write or a quorum read may take; 0 is the default.",
			"5s + 2 x election-timeout",
			duration(func(c *Config) *time.Duration { return &c.RequestTimeout })},
		{"read-timeout", "Requests", "duration", "How long a client may take to send a request.", "",
			duration(func(c *Config) *time.Duration { return &c.ReadTimeout })},
		{"idle-timeout", "Requests", "duration", "How long a connection is kept between two requests.", "",
			duration(func(c *Config) *time.Duration { return &c.IdleTimeout })},

		{"cache-size", "Resources", "bytes", "Memory for the cache of the store's blocks.", "",
			bind(func(c *Config) *int64 { return &c.CacheSize }, parseBytes,
				func(n int64) string { return strconv.FormatInt(n, 10) })},
		{"log-level", "Resources", "level", "debug, info, warn or error.", "",
			bind(func(c *Config) *slog.Level { return &c.LogLevel }, parseLevel, printLevel)},
	}
}
