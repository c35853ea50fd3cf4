package config

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// Config is everything that a server is told at its start.
type Config struct {
	// ConfigFile is where the settings were read from that neither a flag nor a
	// variable gave.
	ConfigFile string

	// The member.
	Name             string
	DataDir          string
	ListenClientURLs []url.URL
	ListenPeerURLs   []url.URL

	// The cluster. The Initial fields found a cluster, and mean nothing to a data
	// directory that belongs to one already.
	AdvertiseClientURLs      []url.URL
	InitialAdvertisePeerURLs []url.URL
	InitialCluster           []Member
	InitialClusterState      string // new or existing
	InitialClusterToken      string
	Shards                   int // data shards; fixed when the cluster is founded
	Renewal

	// Security. ClientTLS serves the https URLs of clients and of operations,
	// PeerTLS those of members, which it dials with the same certificate.
	ClientTLS       TLS
	PeerTLS         TLS
	SelfSignedYears int // how long certificates of this server's own are good

	Raft

	Requests

	// Resources.
	CacheSize         int64         // bytes
	EventHistoryBytes int64         // size, as JSON, of the events that waitIndex can reach back to, in each shard
	PerName           NameHistory   // beside them
	DiskReserve       int64         // bytes that must stay free for the store to grow; 0 is off
	TTLPause          bool          // times to live stand still while nothing can be written
	TimerSlack        time.Duration // of the process's threads; 0 leaves it as it is

	// Operations.
	ListenMetricsURLs []url.URL     // the operations port: health, metrics; nil is off
	RootPasswordFile  string        // with a new password of the user root; empty: it stays
	UI                string        // the web page: off, read, or write where auth is off
	UIPort            string        // where it is: operations or clients
	PortHosts         []string      // names of the operations port; derived
	EnablePprof       bool          // on the operations port
	DrainDelay        time.Duration // between "not ready" and the stop
	LogFormat         string        // auto, text or json
	LogLevel          slog.Level

	Options Options

	// Version asks for the version instead of a server.
	Version bool

	origins map[string]string // by flag; a default has none
}

// TLS is how one kind of port is secured: by files in PEM, by a certificate of this
// server's own, or between members by a secret. All is empty for plain text.
type TLS struct {
	Cert, Key  string
	CA         string // who may sign the certificates of the other side
	ClientAuth bool   // clients must show such a certificate
	CRL        string // certificates that are revoked
	// The name that the other side's certificate must have: the common one, or one among the
	// alternative ones. At most one is set.
	AllowedCN, AllowedHostname string
	// Auto makes a certificate if no file has one, for Names and for that long, and keeps it
	// in Dir.
	Auto     bool
	Dir      string
	Names    []string
	Validity time.Duration
	Secret   string // a file; for members only
}

// Renewal says whether the cluster begins a new generation with this member's data.
type Renewal struct {
	MirrorFrom      []url.URL // of a fresh cluster: the etcd that it follows
	MirrorTLS       TLS       // towards that etcd, if its URLs are https: certificate, key and authorities only
	ForceNewCluster bool      // make this member the only one
	BumpIndex       uint64    // what to add to the tree's index then
}

// Raft has the settings of raft.
type Raft struct {
	Heartbeat, ElectionTimeout time.Duration
	RequestTimeout             time.Duration // of a write, and of a linearizable read
	SnapshotCount              uint64        // entries between two compactions of the log
}

// Requests has the settings of the client port.
type Requests struct {
	CORS            []string // allowed origins; nil is off, "*" alone is all
	EventHistory    int      // events that waitIndex can reach back to
	MaxRequestBytes int      // of a body
	MaxHeaderBytes  int      // of request line and headers together
	ReadTimeout     time.Duration
	WriteTimeout    time.Duration // for the client to take an answer; no flag sets it
	IdleTimeout     time.Duration
	SlowRequest     time.Duration // requests that take longer are logged; 0 is none
}

// NameHistory limits the events that are kept for each top-level name, in each shard. Sizes are
// those of the events as JSON.
type NameHistory struct {
	Events int           // of a name; 0 is off
	Bytes  int64         // of a name
	Age    time.Duration // of an event; 0 is any
	Names  int
	Total  int64 // bytes of all names
}

// Member is one founding member of a cluster.
type Member struct {
	Name     string
	PeerURLs []url.URL
}

// Limits of single settings.
const (
	snapshotCountFloor = 1000
	bumpLimit          = 1 << 40
	electionLimit      = 50 * time.Second
	eventHistoryLimit  = 10_000_000
	eventHistoryFloor  = 1 << 20 // bytes
	nameHistoryLimit   = 100_000 // names, all of which are kept in memory
	nameHistoryAge     = time.Minute
	maxRequestLimit    = 32 << 20 // a request is one raft entry; the log is held in memory by 64 MiB
	headerFloor        = 4 << 10
	headerLimit        = 1 << 20 // etcd's
	cacheFloor         = 1 << 20
	slackLimit         = 10 * time.Millisecond // expirations and time-outs come later by it
)

// Default returns the Config of an empty command line, before derive has filled
// in what follows from other settings.
func Default() Config {
	return Config{
		Name:                "default",
		ListenClientURLs:    []url.URL{{Scheme: "http", Host: "127.0.0.1:2379"}},
		ListenPeerURLs:      []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}},
		InitialClusterState: "new",
		InitialClusterToken: "etcd-cluster",
		SelfSignedYears:     1,
		Shards:              1,
		Renewal:             Renewal{BumpIndex: 1_000_000},
		Raft:                Raft{Heartbeat: 100 * time.Millisecond, ElectionTimeout: time.Second, SnapshotCount: 100_000},
		Requests: Requests{
			EventHistory:    1000,
			MaxRequestBytes: 10 << 20,
			MaxHeaderBytes:  headerLimit,
			ReadTimeout:     time.Minute,
			WriteTimeout:    time.Minute,
			IdleTimeout:     5 * time.Minute,
			SlowRequest:     200 * time.Millisecond,
		},
		TTLPause:          true,
		TimerSlack:        500 * time.Microsecond,
		EventHistoryBytes: 128 << 20, // 1,000 changes of values of 64 KiB
		PerName:           NameHistory{Bytes: 16 << 20, Age: 24 * time.Hour, Names: 10_000, Total: 512 << 20},
		// Twice what main keeps of the raft log between two compactions: log and
		// store can then finish what they began.
		DiskReserve:       256 << 20,
		ListenMetricsURLs: []url.URL{{Scheme: "http", Host: "127.0.0.1:2381"}},
		UIPort:            portOperations,
		LogFormat:         "auto",
		LogLevel:          slog.LevelInfo,
		Options:           Options{Timeout: 2 * time.Second, Import: Import{IndexMargin: defaultIndexMargin}, Mirror: Mirror{HoldLimit: defaultHoldLimit, IndexMargin: defaultIndexMargin}},
	}
}

// Value is one setting as it stands, and where it came from.
type Value struct {
	Flag string `json:"setting"`
	Text string `json:"value"`
	// Origin is "default", "file PATH, line N", "environment NAME", "flag", or
	// what the value follows from.
	Origin string `json:"origin"`
}

// Values lists every setting, in the order of the help.
func (c *Config) Values() []Value {
	var list []Value
	for _, s := range settings() {
		list = append(list, Value{Flag: s.flag, Text: s.print(c), Origin: c.Origin(s.flag)})
	}
	return list
}

// Origin says where the value of a flag came from.
func (c *Config) Origin(flag string) string {
	if origin := c.origins[flag]; origin != "" {
		return origin
	}
	return "default"
}

// follows begins the origin of what nobody set, and another setting implies, or the memory.
const (
	follows  = "follows from "
	ofMemory = follows + "the memory that may be used"
)

// Given reports whether somebody set the flag.
func (c *Config) Given(flag string) bool {
	origin := c.origins[flag]
	return origin != "" && !strings.HasPrefix(origin, follows)
}

// Fingerprint is a short hash of all settings: members with different settings show
// different ones in their logs. Their machines may differ.
func (c *Config) Fingerprint() string {
	h := sha256.New()
	for _, v := range c.Values() {
		if v.Origin != ofMemory {
			fmt.Fprintf(h, "%s=%s\n", v.Flag, v.Text)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// Strings are the URLs as text.
func Strings(urls []url.URL) []string {
	var list []string
	for _, u := range urls {
		list = append(list, u.String())
	}
	return list
}
