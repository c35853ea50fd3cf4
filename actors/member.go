package actors

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/actors/disk"
	"copse/actors/loop"
	"copse/actors/peerlink"
	"copse/actors/raft"
	"copse/actors/shard"
	"copse/config/logging"
	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// MemberOptions configure a Member.
type MemberOptions struct {
	Host raft.Options // without its Link, which NewMember makes
	Dir  *datadir.Dir
	Peer PeerOptions

	Founding
	SourceTLS  *tls.Config // for the https URLs of the source of a mirror; nil: the system's authorities
	Name       string
	ClientURLs []string
	Started    time.Time

	StoreOptions
	LogBytes uint64      // bytes of raft entries between two compactions of the log
	Disk     *disk.Watch // decides whether the store may grow; nil: always
	Logger   *slog.Logger
}

// PeerOptions say how this member and the others reach each other.
type PeerOptions struct {
	Listen []string // peer URLs
	// Called for each connection; nil: plain text.
	ServerTLS, ClientTLS func() *tls.Config
	Peers                cluster.Peers
	Advertised           []string // this member's peer URLs, if the settings name them; sorted
}

// Member is everything of this member below HTTP: the peer link, the raft host, and the
// machine and the actors of each data shard.
type Member struct {
	o        MemberOptions
	id       datadir.Identity // as it was at the start; Membership keeps what changes
	link     *peerlink.Link
	book     *peerlink.Book
	host     *raft.Host
	running  atomic.Pointer[raft.Host] // host; for calls, which the peer link may take before there is one
	stopping chan struct{}             // closed when the raft host has to stop
	opened   atomic.Bool               // everything below is ready, likewise for calls
	leaving  atomic.Bool               // it transfers its leaderships and must not lead again
	cache    *pebble.Cache
	machine  *statemachine.Machine // of the order shard, which has the list of members
	parts    []*part               // the data shards, by slot
	sharded  *sharding             // nil: the order shard is the only data shard
	router   *Router

	membership *cluster.Membership
	comparer   *cluster.Comparer
}

// NewMember opens the stores, the peer port and the raft log, and starts this member's
// replicas. The parts that Parts adds to a group stop what NewMember started.
func NewMember(o MemberOptions) (*Member, error) {
	n := &Member{o: o, id: o.Dir.Identity, stopping: make(chan struct{}), cache: pebble.NewCache(o.CacheSize - nodeCache(o) - listCache(o))}
	if err := n.open(); err != nil {
		n.cache.Unref()
		return nil, err
	}
	return n, nil
}

// nodeCache and listCache are the shares of the cache for nodes and for encoded
// listings, in bytes.
func nodeCache(o MemberOptions) int64 { return o.CacheSize / 4 }
func listCache(o MemberOptions) int64 { return o.CacheSize / 4 }

func (n *Member) self() uint64 { return n.id.MemberID }

func (n *Member) open() (err error) {
	o := n.o
	if err := n.openMachines(); err != nil {
		return errors.Join(err, n.closeMachines())
	}
	if err := n.openHost(); err != nil {
		return errors.Join(err, n.closeMachines())
	}
	n.openParts()
	n.comparer = n.newComparer()
	n.membership = cluster.NewMembership(raftGroups{n.host}, n.machine, cluster.MembershipOptions{
		Self: n.self(), Shards: o.Host.Shards, Election: o.Host.Election,
		Dir: o.Dir, SetAddresses: n.book.Set, Peers: o.Peer.Peers,
		Name: o.Name, ClientURLs: o.ClientURLs, Known: o.Members,
		Questions: cluster.Questions{
			Refused: func(ctx context.Context) error { return n.others().Refusal(ctx, n.machine.Membership().Members) },
			Able: func(ctx context.Context) cluster.Abilities {
				return n.others().Abilities(ctx, n.machine.Membership().Members)
			},
			Wrong: n.comparer.Wrong,
		},
		EndWatches: n.endWatches, Start: &cluster.LogStart{Log: raftGroups{n.host}, Machines: n.machines(), Later: n.id.Generation > 0},
	}, o.Logger.With("component", "membership"))
	n.router = &Router{
		member:  n,
		cluster: tree.Cluster{ID: n.id.ClusterID, Life: uint32(deployment(n.id)), Self: n.self(), Started: o.Started},
		host:    n.host,
		parts:   n.parts,
		sharded: n.sharded,
		timeout: o.Host.RequestTimeout,
	}
	if err := n.openMirror(); err != nil {
		n.host.Close()
		return errors.Join(err, n.link.Close(), n.closeMachines())
	}
	if err := n.startReplicas(); err != nil {
		n.host.Close()
		return errors.Join(err, n.link.Close(), n.closeMachines())
	}
	n.opened.Store(true)
	return nil
}

// machineOptions are the options of one raft group's store.
func machineOptions(o MemberOptions, cache *pebble.Cache, shard uint64) statemachine.Options {
	shards := o.Dir.Identity.Shards
	m := statemachine.Options{
		Dir:         o.Dir.ShardDir(shard),
		Replica:     o.Dir.Identity.MemberID,
		Window:      o.Window,
		WindowBytes: o.WindowBytes,
		Names:       o.Names,
		Cache:       cache,
		CacheSizes:  statemachine.CacheSizes{Nodes: int(nodeCache(o)) / shards, Lists: int(listCache(o)) / shards},
		Files:       o.OpenFiles / Groups(shards),
		Fatal:       o.Host.Fatal,
		Logger:      o.Logger.With("component", "store", "shard", shard),
	}
	if shards > 1 {
		m.Slots, m.Slot = shards, int(shard)-orderShard-1 // OrderSlot for the order shard
	}
	return m
}

// closeMachines closes the machines that are open.
func (n *Member) closeMachines() (err error) {
	for _, m := range n.machines() {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
	}
	return err
}

// openHost opens the peer port and the raft log. If it fails, neither stays open.
func (n *Member) openHost() (err error) {
	n.book = peerlink.NewBook()
	n.book.Set(cluster.PeerURLs(n.members()))
	options := peerlink.Options{
		Self:       n.self(),
		Cluster:    n.id.ClusterID,
		Generation: n.id.Generation,
		Listen:     n.o.Peer.Listen,
		ServerTLS:  n.o.Peer.ServerTLS,
		ClientTLS:  n.o.Peer.ClientTLS,
		Book:       n.book,
		Handler:    n.answerCall,
		Receive:    n.receive,
		CallLimit:  shard.SubmissionBytesLimit,
		Allowed:    n.allowed,
		Logger:     n.o.Logger.With("component", "peers"),
	}
	n.link, err = peerlink.Listen(options)
	if err != nil {
		return fmt.Errorf("listen for other members: %w; %s", err, logging.BindAdvice(err, "listen-peer-urls"))
	}
	o := n.o.Host
	o.Link, o.LogExpected = n.link, n.id.Logged
	n.host, err = raft.NewHost(o)
	if err != nil {
		return errors.Join(err, n.link.Close())
	}
	n.host.ShowTermsAs(n.shownTerm)
	if err := n.o.Dir.Amend(func(id *datadir.Identity) { id.Logged = true }); err != nil {
		n.host.Close()
		return errors.Join(err, n.link.Close())
	}
	n.running.Store(n.host)
	return nil
}

// startReplicas starts this member's replica of each group.
func (n *Member) startReplicas() error {
	for i, m := range n.machines() {
		shard := uint64(i) + orderShard
		err := n.host.CheckLog(shard, m)
		if err == nil && !n.id.Joined && !n.host.Started(shard) {
			err = n.mayFound()
		}
		if err == nil {
			err = n.host.StartReplica(shard, m, n.start())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errOtherFounding is the cause if the settings of a first start changed before a second one.
var errOtherFounding = errors.New("made for other peer URLs or another --initial-cluster-token")

// mayFound refuses to found a cluster without this member, whose directory says who it is.
func (n *Member) mayFound() error {
	if err := checkFounder(n.members(), n.self()); err != nil {
		return fmt.Errorf("data directory %s was %w, and has no data yet: remove it, or start with those", n.o.Dir.Path(), errOtherFounding)
	}
	return nil
}

// others are the other members, by the peer link.
func (n *Member) others() cluster.Others {
	return cluster.Others{Self: n.self(), Call: n.link.Call, Ask: n.o.Peer.Peers.Ask, ClusterID: n.id.ClusterID, Generation: n.id.Generation, Restored: n.id.Restored}
}

// members are the cluster's members, as far as this one knows at its start.
func (n *Member) members() []tree.Member {
	if list := n.machine.Membership().Members; len(list) > 0 {
		return list
	}
	return n.o.Members
}

// start says how the replicas are started.
func (n *Member) start() raft.Start {
	s := raft.Start{Learning: n.id.Learning}
	members := n.members()
	if !n.id.Joined {
		for _, m := range members {
			s.Founders = append(s.Founders, m.ID)
		}
	}
	s.Alone = !s.Learning && len(members) == 1 && members[0].ID == n.self()
	return s
}

// allowed says whether a member may connect to this one. A removed member may as long
// as it has a vote in a shard: removing its replica can take that vote.
func (n *Member) allowed(member uint64) error {
	host := n.running.Load()
	if n.machine.Membership().WasRemoved(member) && (host == nil || !host.Votes(member)) {
		return peerlink.Removed
	}
	return nil
}

// Router is the front-end's way in.
func (n *Member) Router() *Router { return n.router }

// Join waits until this member may serve reads, and founds the tree if there is none;
// cluster.Joiner says when it gives up waiting. It also waits until the member's data was
// compared with that of the others: see SteppedOut.
func (n *Member) Join(stop <-chan struct{}) error {
	j := cluster.Joiner{
		Log: raftGroups{n.host}, Machines: n.machines(), Founders: n.o.Members, MayFound: n.mayFound, Begin: n.o.begin(), Shards: n.id.Shards,
		Start: n.membership.StartLog, Publish: n.membership.Publish, Timeout: n.o.Host.RequestTimeout, Logger: n.o.Logger, Missing: n.missing,
	}
	if n.sharded != nil {
		j.Closed = n.sharded.closed.Index
	}
	err := j.Join(stop)
	if err == nil {
		if len(n.o.Sources) > 0 && !n.machine.Mirror().On {
			n.o.Logger.Warn("this cluster doesn't follow a source, or no longer does: leave out --mirror-from", "component", "mirror")
		}
		n.warnIfMoved()
		select {
		case <-n.comparer.Compared():
		case <-stop:
		}
	}
	return err
}

// Parts adds the member's actors to g. The peer link and the raft host come first, so
// that they are stopped last.
func (n *Member) Parts(g *loop.Group) {
	g.Add("raft", n.runHost, sync.OnceFunc(func() { close(n.stopping) }))
	n.addParts(g)
}

// runHost waits until the raft host, which is open already, has to stop. Then it closes
// the host, the machines and the cache, the connections to a source, and the peer link.
func (n *Member) runHost() error {
	<-n.stopping
	n.host.Close()
	if m := n.router.mirror; m != nil {
		m.close()
	}
	err := n.closeMachines()
	n.cache.Unref()
	return errors.Join(err, n.link.Close())
}
