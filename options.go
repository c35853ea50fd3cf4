package main

import (
	"encoding/binary"
	"hash/fnv"
	"log/slog"
	"net/url"
	"slices"
	"syscall"
	"time"

	"copse/actors"
	"copse/config"
	"copse/statemachine/tree"
)

// execShards is how many of the engine's workers sync the log. One syncs once for
// all shards, and a blocked sync then holds one processor only. The data directory
// freezes it; see docs/ARCHITECTURE.md.
const execShards = 1

// logBytes of raft entries, besides --snapshot-count of them, let the log be
// compacted: entries are batches of writes, and may be large.
const logBytes = 128 << 20

// fresh describes a member whose data directory is empty.
func fresh(c *config.Config, host string, peers actors.Peers, log *slog.Logger) actors.Fresh {
	founders := founders(c)
	var ids []uint64
	for _, m := range founders {
		ids = append(ids, m.ID)
	}
	self := texts(c.InitialAdvertisePeerURLs)
	given := 0
	if c.Given("shards") {
		given = c.Shards
	}
	return actors.Fresh{
		Shards: given,
		Wanted: actors.Identity{
			ClusterID:  config.ClusterID(ids...),
			MemberID:   config.MemberID(self, c.InitialClusterToken),
			Name:       c.Name,
			Token:      c.InitialClusterToken,
			Shards:     c.Shards,
			ExecShards: execShards,
			Host:       host,
			Created:    time.Now().UTC(),
		},
		Founders: founders,
		PeerURLs: self,
		Existing: c.InitialClusterState == "existing",
		Peers:    peers,
		Logger:   log,
	}
}

// claim is what the settings say of the cluster, for a data directory to agree
// with. As with etcd, who says that the cluster exists may list it as it is now.
func claim(c *config.Config, founding actors.Identity) actors.Claim {
	var claim actors.Claim
	if c.Given("initial-cluster-token") {
		claim.Token = c.InitialClusterToken
	}
	if c.Given("shards") {
		claim.Shards = c.Shards
	}
	if c.Given("initial-cluster") && c.InitialClusterState == "new" {
		claim.ClusterID = founding.ClusterID
	}
	return claim
}

// founders are the members that --initial-cluster names. Nothing but their peer
// URLs is known of them until they start.
func founders(c *config.Config) []tree.Member {
	var list []tree.Member
	for _, m := range c.InitialCluster {
		urls := slices.Sorted(slices.Values(texts(m.PeerURLs)))
		list = append(list, tree.Member{ID: config.MemberID(urls, c.InitialClusterToken), PeerURLs: urls})
	}
	return list
}

// others are the peer URLs of the other members that --initial-cluster names.
func others(c *config.Config) []string {
	var urls []string
	for _, m := range c.InitialCluster {
		if m.Name != c.Name {
			urls = append(urls, texts(m.PeerURLs)...)
		}
	}
	return urls
}

// openFiles says who may open how many files.
type openFiles struct {
	clients int // connections
	store   int // tables of a shard's store
}

// shareFiles divides what the system lets this process open: clients mustn't
// take what the raft log and the stores need, for these can't go on without.
func shareFiles() openFiles {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		limit.Cur = 1024
	}
	all := int(min(limit.Cur, 1<<30))
	reserve := min(max(all/4, 100), 1500)
	return openFiles{clients: max(all-reserve, 10), store: reserve / 3}
}

func nodeOptions(c *config.Config, dir *actors.DataDir, members []tree.Member, peer actors.PeerOptions, storeFiles int, log *slog.Logger, began time.Time) actors.NodeOptions {
	id := dir.Identity
	return actors.NodeOptions{
		Host: actors.HostOptions{
			Dir:            dir.RaftDir(),
			Replica:        id.MemberID,
			DeploymentID:   deployment(id),
			Shards:         actors.Groups(id.Shards),
			ExecShards:     id.ExecShards,
			Heartbeat:      c.Heartbeat,
			Election:       c.ElectionTimeout,
			SnapshotCount:  c.SnapshotCount,
			RequestTimeout: c.RequestTimeout,
			Logger:         log,
		},
		Dir:         dir,
		Peer:        peer,
		Members:     members,
		Name:        c.Name,
		ClientURLs:  texts(c.AdvertiseClientURLs),
		Started:     began,
		Window:      c.EventHistory,
		WindowBytes: c.EventHistoryBytes,
		CacheSize:   c.CacheSize,
		OpenFiles:   storeFiles,
		LogBytes:    logBytes,
		Logger:      log,
	}
}

// deployment tells raft traffic of different clusters apart, and of different
// generations of one.
func deployment(id actors.Identity) uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, []uint64{id.ClusterID, id.Generation}) // a hash takes everything
	return max(1, h.Sum64())
}

func texts(urls []url.URL) []string {
	var list []string
	for _, u := range urls {
		list = append(list, u.String())
	}
	return list
}
