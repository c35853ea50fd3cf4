package actors

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"copse/actors/peerlink"
	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// NodeOptions are what a Node is made with: plain values.
type NodeOptions struct {
	Host HostOptions // without its Link, which the Node makes
	Dir  *DataDir
	Peer PeerOptions

	// Members are those known when the data directory was made: the founders, or
	// what a member that joined was told.
	Members    []tree.Member
	Name       string
	ClientURLs []string
	Started    time.Time

	Window      int        // events that waitIndex can reach back to
	WindowBytes int64      // size of the same events as JSON, in each shard
	CacheSize   int64      // bytes of the caches: a quarter each for nodes and listings, the rest for blocks
	OpenFiles   int        // files that a shard's store may keep open; 0: Pebble's default
	LogBytes    uint64     // bytes of raft entries between two compactions of the log
	Disk        *DiskWatch // says whether the store may grow; nil: it always may
	Logger      *slog.Logger
}

// PeerOptions are how this member and the others reach each other.
type PeerOptions struct {
	Listen []string // peer URLs
	// Asked for at each connection; nil: plain text.
	ServerTLS, ClientTLS func() *tls.Config
	Peers                Peers
}

// Node is this member's half of the cluster below HTTP: the peer link, the raft
// host, and for each data shard its machine and actors.
type Node struct {
	o        NodeOptions
	id       Identity // as at the start; what changes later is the Membership's
	link     *peerlink.Link
	book     *peerlink.Book
	host     *Host
	running  atomic.Pointer[Host] // host, for the peer link, which is there first
	stopping chan struct{}        // closed when the raft host is to stop
	opened   atomic.Bool          // so is all below, for the same reason
	leaving  atomic.Bool          // it hands over what it leads, and is to lead no more
	cache    *pebble.Cache
	machine  *statemachine.Machine // of the order shard: it knows the members
	parts    []*part               // the data shards, by slot
	several  *several              // nil: there is one data shard, which is the order shard
	router   *Router
	renewed  bool // the raft log is new, and the tree is not: see ForceNew

	membership *Membership
	compactors []*Compactor
}

// NewNode opens the stores, the peer port and the raft log, and starts this
// member's replicas. What it started is stopped by the parts that Parts adds to a
// group.
func NewNode(o NodeOptions) (*Node, error) {
	n := &Node{o: o, id: o.Dir.Identity, stopping: make(chan struct{}), cache: pebble.NewCache(o.CacheSize - nodeCache(o) - listCache(o))}
	if err := n.open(); err != nil {
		n.cache.Unref()
		return nil, err
	}
	return n, nil
}

// nodeCache and listCache are the parts of the caches that keep nodes, and
// listings as they are sent.
func nodeCache(o NodeOptions) int64 { return o.CacheSize / 4 }
func listCache(o NodeOptions) int64 { return o.CacheSize / 4 }

func (n *Node) self() uint64 { return n.id.MemberID }

func (n *Node) open() (err error) {
	o := n.o
	if err := n.openMachines(); err != nil {
		return errors.Join(err, n.closeMachines())
	}
	n.renewed = n.machine.Membership().Founded() && n.machine.RaftIndex() == 0
	if err := n.openHost(); err != nil {
		return errors.Join(err, n.closeMachines())
	}
	n.openParts()
	n.membership = NewMembership(n.host, n.machine, MembershipOptions{
		Dir: o.Dir, Book: n.book, Peers: o.Peer.Peers,
		Name: o.Name, ClientURLs: o.ClientURLs, LetGo: n.letGo, Known: o.Members,
	}, o.Logger.With("component", "membership"))
	n.router = &Router{
		node:    n,
		cluster: tree.Cluster{ID: n.id.ClusterID, Self: n.self(), Started: o.Started},
		host:    n.host,
		parts:   n.parts,
		several: n.several,
		timeout: o.Host.RequestTimeout,
	}
	if err := n.startReplicas(); err != nil {
		n.host.Close()
		return errors.Join(err, n.link.Close(), n.closeMachines())
	}
	n.opened.Store(true)
	return nil
}

// machineOptions are those of the store of one raft group.
func machineOptions(o NodeOptions, cache *pebble.Cache, shard uint64) statemachine.Options {
	shards := o.Dir.Identity.Shards
	m := statemachine.Options{
		Dir:         o.Dir.ShardDir(shard),
		Replica:     o.Dir.Identity.MemberID,
		Window:      o.Window,
		WindowBytes: o.WindowBytes,
		Cache:       cache,
		Nodes:       int(nodeCache(o)) / shards,
		Lists:       int(listCache(o)) / shards,
		Files:       o.OpenFiles / Groups(shards),
		Logger:      o.Logger.With("component", "store", "shard", shard),
	}
	if shards > 1 {
		m.Slots, m.Order = shards, shard == orderShard
		if !m.Order {
			m.Slot = int(shard) - orderShard - 1
		}
	}
	return m
}

// closeMachines closes those machines that are open.
func (n *Node) closeMachines() (err error) {
	for _, m := range n.machines() {
		if m != nil {
			err = errors.Join(err, m.Close())
		}
	}
	return err
}

// openHost opens the peer port and the raft log. It leaves nothing open if it fails.
func (n *Node) openHost() (err error) {
	n.book = peerlink.NewBook()
	n.book.Set(peerURLs(n.members()))
	options := peerlink.Options{
		Self:       n.self(),
		Cluster:    n.id.ClusterID,
		Generation: n.id.Generation,
		Listen:     n.o.Peer.Listen,
		ServerTLS:  n.o.Peer.ServerTLS,
		ClientTLS:  n.o.Peer.ClientTLS,
		Book:       n.book,
		Handler:    n.answerCall,
		Allowed:    n.allowed,
		Logger:     n.o.Logger.With("component", "peers"),
	}
	if n.several != nil {
		options.CallLimit = carriedLimit
	}
	n.link, err = peerlink.Listen(options)
	if err != nil {
		return fmt.Errorf("listen for other members: %w; is another server running there? --listen-peer-urls sets the address", err)
	}
	o := n.o.Host
	o.Link = n.link
	n.host, err = NewHost(o)
	if err != nil {
		return errors.Join(err, n.link.Close())
	}
	n.running.Store(n.host)
	return nil
}

// startReplicas starts this member's replica of each group.
func (n *Node) startReplicas() error {
	for i, m := range n.machines() {
		shard := uint64(i) + orderShard
		err := n.host.checkPair(shard, m)
		if err == nil {
			err = n.host.StartReplica(shard, m, n.start())
		}
		if err == nil {
			err = n.host.checkLog(shard, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// members are the cluster's, as far as this member knows at its start.
func (n *Node) members() []tree.Member {
	if list := n.machine.Membership().Members; len(list) > 0 {
		return list
	}
	return n.o.Members
}

// start is how the replicas are started.
func (n *Node) start() Start {
	s := Start{Learning: n.id.Learning}
	members := n.members()
	if !n.id.Joined {
		for _, m := range members {
			s.Founders = append(s.Founders, m.ID)
		}
	}
	s.Alone = !s.Learning && len(members) == 1 && members[0].ID == n.self()
	return s
}

// allowed says whether a member may speak to this one. One that was removed may
// as long as a shard counts on its vote, or it couldn't be taken out.
func (n *Node) allowed(member uint64) error {
	host := n.running.Load()
	if n.machine.Membership().WasRemoved(member) && (host == nil || !host.votes(member)) {
		return peerlink.Removed
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Router is what a front-end speaks to.
func (n *Node) Router() *Router { return n.router }

// Parts adds the node's actors to g, the peer link and the raft host first, so
// that they are stopped last.
func (n *Node) Parts(g *Group) {
	g.Add("raft", n.runHost, sync.OnceFunc(func() { close(n.stopping) }))
	n.addParts(g)
}

// runHost keeps the raft host, which is open already, until it is to stop; then
// it closes the host, the machines and the cache, and the peer link.
func (n *Node) runHost() error {
	<-n.stopping
	n.host.Close()
	err := n.closeMachines()
	n.cache.Unref()
	return errors.Join(err, n.link.Close())
}
