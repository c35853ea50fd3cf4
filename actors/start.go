package actors

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/actors/disk"
	"copse/actors/loop"
	"copse/actors/peerlink"
	"copse/actors/raft"
	"copse/actors/source"
	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// StartOptions are the settings that a member starts with: plain values.
type StartOptions struct {
	Dir      string // the data directory
	HostName string
	// ForceNew makes this member the only one of a new generation of its cluster.
	ForceNew bool
	Bump     tree.Index // by how much that raises the tree's index
	Cluster  ClusterOptions
	Peer     PeerPortOptions
	Raft     RaftOptions
	Store    StoreOptions
	Started  time.Time
	// SourceTLS loads the TLS for the https URLs of the source of a mirror; nil: the system's authorities.
	SourceTLS func() (*tls.Config, error)
	// Fatal ends the process, for a reason that the member can't go on after.
	Fatal func(error)
	Log   *slog.Logger
}

// ClusterOptions say which cluster a fresh data directory becomes a part of. The
// settings that were given, rather than left at their defaults, must agree with a
// directory that belongs to a cluster already.
type ClusterOptions struct {
	Name       string              // this member's
	PeerURLs   []string            // this member's, advertised
	ClientURLs []string            // this member's, advertised
	Founders   map[string][]string // peer URLs by name: all that counts until a founder starts
	Existing   bool                // the cluster runs already, and lets this member in
	Token      string
	Shards     int      // data shards
	MirrorFrom []string // URLs of the etcd that a new cluster follows

	FoundersGiven, TokenGiven, ShardsGiven bool
	PeerURLsGiven                          bool // or what they follow from
}

// PeerPortOptions are for the port that other members use.
type PeerPortOptions struct {
	Listen []string // URLs
	// The TLS for one connection, asked for each time; nil is plain text.
	ServerTLS, ClientTLS func() *tls.Config
}

// RaftOptions are the timing of raft, and when its log is compacted.
type RaftOptions struct {
	Heartbeat, ElectionTimeout time.Duration
	RequestTimeout             time.Duration // of a write, and of a linearizable read
	SnapshotCount              uint64        // entries between two compactions of the log
}

// StoreOptions bound what the store takes, and say when keys expire.
type StoreOptions struct {
	Window      int   // events that waitIndex can reach back to
	WindowBytes int64 // their size as JSON, in each shard
	Names       NameLimits
	CacheSize   int64  // bytes
	OpenFiles   int    // tables that one shard keeps open
	DiskReserve uint64 // bytes that must stay free for the store to grow; 0 is off
	// CountOutages lets times to live run on while there is no leader.
	CountOutages bool
	// InFlight bounds the bytes that requests hold together; nil: nothing does.
	InFlight *inflight.Budget
}

// logBytes is how many bytes of raft entries there are between two compactions, if
// RaftOptions.SnapshotCount doesn't come first: entries are batches of writes, and
// may be large.
const logBytes = 128 << 20

// Starter is a member whose data directory is open, and nothing else yet.
type Starter struct {
	// Disk watches the disk under the data directory. Whoever starts the Member runs it.
	Disk *disk.Watch

	o        StartOptions
	security *tls.Config // towards the source of a mirror
	dir      *datadir.Dir
	members  []tree.Member // those known when the directory was made
}

// Open opens the data directory, and finds out first which cluster a fresh one
// belongs to. That may take as long as others need to let this member in, so waiting
// is told before what Open waits for. It is told again once the directory is known
// to be this process's. If waiting fails, so does Open.
func Open(ctx context.Context, o StartOptions, waiting func(what string) error) (*Starter, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Fatal = first(o.Fatal)
	var security *tls.Config
	if o.SourceTLS != nil {
		var err error
		if security, err = o.SourceTLS(); err != nil {
			return nil, fmt.Errorf("mirror TLS: %w", err)
		}
	}
	f := o.fresh()
	id, members := f.Wanted, f.Founders
	// A directory in use is found out before the ports: it is the better message.
	if !datadir.Founded(o.Dir) {
		if o.ForceNew {
			return nil, fmt.Errorf("data directory %s: %w", o.Dir, cluster.ErrNoData)
		}
		err := waiting("the member waits to be let into the cluster")
		if err == nil && len(o.Cluster.MirrorFrom) > 0 && !f.Existing {
			var at source.Position
			at, err = sourceOf(ctx, o.Cluster.MirrorFrom, security)
			f.Wanted.ClusterID, f.Wanted.Restored = at.ClusterID, true
		}
		if err == nil {
			id, members, err = cluster.Identify(ctx, f)
		}
		if err != nil {
			return nil, err
		}
	}
	id.ExecShards = execShards(id.Shards, runtime.GOMAXPROCS(0))
	dir, err := datadir.Open(o.Dir, id, o.claim(f.Wanted))
	if err != nil {
		return nil, err
	}
	if own := dir.Identity; own.Restored && !own.Logged {
		if err := cluster.RefuseSecondStart(ctx, f.Peers, own); err != nil {
			return nil, errors.Join(err, dir.Close())
		}
	}
	s := &Starter{o: o, security: security, dir: dir, members: members}
	s.Disk = disk.NewWatch(disk.Options{Dir: dir.Path(), Reserve: o.Store.DiskReserve, Logger: o.Log})
	if err := s.prepare(waiting); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return s, nil
}

// first returns a function that calls fatal (nil: panics), which doesn't return, for the
// first error only: a disk that fails is noticed in several places, and one line is enough.
func first(fatal func(error)) func(error) {
	var called sync.Mutex
	return func(err error) {
		called.Lock()
		if fatal == nil {
			panic(err)
		}
		fatal(err)
	}
}

func (s *Starter) prepare(waiting func(string) error) error {
	if s.dir.Identity.Removed {
		return fmt.Errorf("data directory %s: %w", s.o.Dir, cluster.ErrRemoved)
	}
	if err := waiting("the member is starting"); err != nil {
		return err
	}
	if err := s.dir.LiftHostPin(s.o.HostName); err != nil {
		return err
	}
	for _, w := range s.dir.Warnings {
		s.o.Log.Warn(w, "component", "main")
	}
	if s.o.ForceNew || s.dir.Identity.Forcing {
		s.o.Log.Warn("this member becomes the only one of a new generation of its cluster; the others can't come back", "component", "main", "generation", s.dir.Identity.Generation+1)
		return ForceNew(s.memberOptions(), s.o.Bump)
	}
	if why := s.dir.Identity.Differs; why != "" {
		return fmt.Errorf("data directory %s: %w (%s)", s.o.Dir, cluster.ErrDiffers, why)
	}
	return nil
}

// Start opens the stores and the raft log, and starts this member's replicas.
func (s *Starter) Start() (*Member, error) {
	o := s.memberOptions()
	o.Disk = s.Disk
	return NewMember(o)
}

// Close gives up the data directory, after the Member has ended.
func (s *Starter) Close() error { return s.dir.Close() }

// LogValue describes the member for the log.
func (s *Starter) LogValue() slog.Value {
	id := s.dir.Identity
	return slog.GroupValue(
		slog.String("name", id.Name),
		slog.String("member", fmt.Sprintf("%x", id.MemberID)), slog.String("cluster", fmt.Sprintf("%x", id.ClusterID)),
		slog.String("data_dir", s.dir.Path()), slog.Bool("fresh", s.dir.Created))
}

func (s *Starter) memberOptions() MemberOptions {
	o, id := &s.o, s.dir.Identity
	var advertised []string
	if o.Cluster.PeerURLsGiven {
		advertised = slices.Sorted(slices.Values(o.Cluster.PeerURLs))
	}
	return MemberOptions{
		Host: raft.Options{
			Dir:            s.dir.RaftDir(),
			Replica:        id.MemberID,
			DeploymentID:   deployment(id),
			Shards:         Groups(id.Shards),
			ExecShards:     id.ExecShards,
			Heartbeat:      o.Raft.Heartbeat,
			Election:       o.Raft.ElectionTimeout,
			SnapshotCount:  o.Raft.SnapshotCount,
			RequestTimeout: o.Raft.RequestTimeout,
			Fatal:          o.Fatal,
			Logger:         o.Log,
		},
		Dir:          s.dir,
		Peer:         PeerOptions{Listen: o.Peer.Listen, ServerTLS: o.Peer.ServerTLS, ClientTLS: o.Peer.ClientTLS, Peers: o.peers(), Advertised: advertised},
		Founding:     Founding{Members: s.members, Sources: o.Cluster.MirrorFrom},
		SourceTLS:    s.security,
		Name:         o.Cluster.Name,
		ClientURLs:   o.Cluster.ClientURLs,
		Started:      o.Started,
		StoreOptions: o.Store,
		LogBytes:     logBytes,
		Logger:       o.Log,
	}
}

// check returns an error if an option is missing. The defaults are package config's.
func (o *StartOptions) check() error {
	r, s := &o.Raft, &o.Store
	if r.Heartbeat <= 0 || r.ElectionTimeout <= 0 || r.RequestTimeout <= 0 || r.SnapshotCount == 0 ||
		s.Window < 1 || s.CacheSize < 1 || s.OpenFiles < 1 || o.Cluster.Shards < 1 || len(o.Peer.Listen) == 0 || o.Log == nil {
		return fmt.Errorf("actors: an option of the start is missing: %+v %+v %+v", o.Cluster, *r, *s)
	}
	return nil
}

// fresh describes the member to a cluster, in case its data directory is empty.
func (o *StartOptions) fresh() cluster.Bootstrap {
	c := &o.Cluster
	var founders []tree.Member
	var ids []uint64
	for _, name := range slices.Sorted(maps.Keys(c.Founders)) {
		urls := slices.Sorted(slices.Values(c.Founders[name]))
		id := cluster.FoundingMemberID(urls, c.Token)
		founders = append(founders, tree.Member{ID: id, PeerURLs: urls})
		ids = append(ids, id)
	}
	f := cluster.Bootstrap{
		Wanted: datadir.Identity{
			ClusterID: cluster.NewClusterID(ids...),
			MemberID:  cluster.FoundingMemberID(c.PeerURLs, c.Token),
			Name:      c.Name,
			Token:     c.Token,
			Shards:    c.Shards,
			Host:      o.HostName,
			Created:   time.Now().UTC(),
		},
		Founders: founders,
		PeerURLs: c.PeerURLs,
		Existing: c.Existing,
		Peers:    o.peers(),
		Logger:   o.Log,
	}
	if c.ShardsGiven {
		f.Shards = c.Shards
	}
	return f
}

// claim is what the data directory has to agree with. As with etcd, a member that
// comes to an existing cluster may list its members as they are now.
func (o *StartOptions) claim(founding datadir.Identity) datadir.Claim {
	var claim datadir.Claim
	if o.Cluster.TokenGiven {
		claim.Token = o.Cluster.Token
	}
	if o.Cluster.ShardsGiven {
		claim.Shards = o.Cluster.Shards
	}
	if o.Cluster.FoundersGiven && !o.Cluster.Existing && !o.ForceNew { // which may move to other URLs
		claim.ClusterID = founding.ClusterID
	}
	return claim
}

// peers are the other members that the settings name.
func (o *StartOptions) peers() cluster.Peers {
	var urls []string
	for name, list := range o.Cluster.Founders {
		if name != o.Cluster.Name {
			urls = append(urls, list...)
		}
	}
	return cluster.Peers{URLs: urls, Ask: func(ctx context.Context, url string, kind uint8, payload []byte) ([]byte, error) {
		var config *tls.Config
		if o.Peer.ClientTLS != nil {
			config = o.Peer.ClientTLS()
		}
		return peerlink.CallAddress(ctx, url, config, kind, payload)
	}}
}

// deployment tells raft's traffic of different clusters apart, and of different
// generations of one, and the tags of what their clients have read.
func deployment(id datadir.Identity) uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, []uint64{id.ClusterID, id.Generation}) // a hash never fails
	return max(1, h.Sum64())
}

// AddTransfer adds the part that lets others take over leadership. It is added after
// those that serve clients, so that it is stopped before them: they are served
// meanwhile.
func (n *Member) AddTransfer(g *loop.Group) {
	stopping := make(chan struct{})
	g.Add("leadership", func() error { <-stopping; return nil }, sync.OnceFunc(func() {
		n.TransferLeadership()
		close(stopping)
	}))
}
