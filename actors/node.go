package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// NodeOptions are what a Node is made with: plain values.
type NodeOptions struct {
	Host      HostOptions
	ShardDirs []string // one for each data shard
	Window    int      // events that waitIndex can reach back to
	CacheSize int64    // bytes of the caches: a quarter each for nodes and listings, the rest for blocks
	OpenFiles int      // files that a shard's store may keep open; 0: Pebble's default
	LogBytes  uint64   // bytes of raft entries between two compactions of the log
	Cluster   tree.Cluster
	Logger    *slog.Logger
}

// Node is this member's half of the cluster below HTTP: the raft host, and for
// each data shard its machine and actors.
type Node struct {
	o       NodeOptions
	host    *Host
	cache   *pebble.Cache
	machine *statemachine.Machine
	router  *Router

	expirer   *Expirer
	compactor *Compactor
	stretcher *Stretcher
}

// shardID is the raft group of the only data shard.
const shardID = 1

// NewNode opens the stores and the raft log, and starts this member's
// replicas. What it started is stopped by the parts that Parts adds to a group.
func NewNode(o NodeOptions) (*Node, error) {
	n := &Node{o: o, cache: pebble.NewCache(o.CacheSize - nodeCache(o) - listCache(o))}
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

func (n *Node) open() error {
	o := n.o
	machine, err := statemachine.New(statemachine.Options{
		Dir:     o.ShardDirs[0],
		Replica: o.Host.Replica,
		Window:  o.Window,
		Cache:   n.cache,
		Nodes:   int(nodeCache(o)),
		Lists:   int(listCache(o)),
		Files:   o.OpenFiles,
		Logger:  o.Logger.With("component", "store"),
	})
	if err != nil {
		return err
	}
	hub := NewWatchHub(WatchHubOptions{
		First:   machine.Index(),
		Window:  o.Window,
		History: machine.History,
		Exists:  machine.Exists,
	})
	machine.Subscribe(hub.Publish)
	host, err := NewHost(o.Host)
	if err != nil {
		return firstError(err, machine.Close())
	}
	founders := make(map[uint64]string, len(o.Cluster.Members))
	for _, m := range o.Cluster.Members {
		founders[m.ID] = o.Host.RaftAddress
	}
	err = host.checkPair(shardID, machine)
	if err == nil {
		err = host.StartReplica(shardID, machine, founders)
	}
	if err == nil {
		err = host.checkLog(shardID, machine)
	}
	if err != nil {
		host.Close()
		return firstError(err, machine.Close())
	}
	n.host, n.machine = host, machine
	n.expirer = NewExpirer(host, shardID, machine, o.Logger)
	n.stretcher = NewStretcher(o.Host.Dir, o.Logger)
	n.compactor = NewCompactor(host, shardID, machine, o.LogBytes, o.Logger)
	n.router = &Router{
		host:    host,
		shard:   NewShard(shardID, o.Host.Replica, host, machine, o.Host.RequestTimeout),
		lane:    NewReadLane(host, shardID, o.Host.RequestTimeout),
		machine: machine,
		hub:     hub,
		cluster: o.Cluster,
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

// Parts adds the node's actors to g, the raft host first, so that it is
// stopped last.
func (n *Node) Parts(g *Group) {
	r := n.router
	stop := make(chan struct{})
	g.Add("raft", func() error { return n.runHost(stop) }, sync.OnceFunc(func() { close(stop) }))
	g.Add("watch hub", r.hub.Run, r.hub.Stop)
	g.Add("stretcher", n.stretcher.Run, n.stretcher.Stop)
	g.Add("compactor", n.compactor.Run, n.compactor.Stop)
	g.Add("expirer", n.expirer.Run, n.expirer.Stop)
	g.Add("read lane", r.lane.Run, r.lane.Stop)
	g.Add("shard", r.shard.Run, r.shard.Stop)
}

// runHost keeps the raft host, which is open already, until it is to stop; then
// it closes the host with its machines, and the cache that they shared.
func (n *Node) runHost(stop <-chan struct{}) error {
	<-stop
	n.host.Close()
	err := n.machine.Close() // the engine has asked for it; wait until it is done
	n.cache.Unref()
	return err
}

// Join waits until this member has caught up with its shards and so may serve
// reads, and founds the tree if there is none. Without a quorum it gives up
// waiting after the request time-out, and what is here is served.
func (n *Node) Join(stop <-chan struct{}) error {
	select {
	case <-n.host.Ready(shardID):
	case <-time.After(n.o.Host.RequestTimeout):
		if n.machine.Index() == 0 {
			return errors.New("no leader was elected in time, and there is no tree yet: is the disk keeping up? Start again to try once more")
		}
		n.o.Logger.Warn("no leader is known; serving what is here, writes will fail until there is one", "shard", shardID)
		return nil
	case <-stop:
		return errStopped
	}
	if err := n.host.Confirm(stop, shardID); err != nil {
		n.o.Logger.Warn("no quorum answers; serving what is here", "shard", shardID, "err", err)
		return nil
	}
	if n.machine.Index() > 0 {
		return nil
	}
	// etcd spends two indexes on each founding member and one on the cluster's
	// version before the first key gets its own.
	founding := tree.Command{Op: tree.OpFound, Key: "/", PrevIndex: tree.Index(2*len(n.o.Cluster.Members) + 1)}
	if err := n.host.Propose(stop, shardID, &founding); err != nil {
		return fmt.Errorf("found the tree: %w", err)
	}
	return nil
}
