package main

import (
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

// The data directory freezes these; see docs/ARCHITECTURE.md.
const (
	dataShards = 1
	// execShards is how many of the engine's workers sync the log: one serves
	// one shard, and a blocked sync then holds one processor only.
	execShards = 1
)

// logBytes of raft entries, besides --snapshot-count of them, let the log be
// compacted: entries are batches of writes, and may be large.
const logBytes = 128 << 20

// identity is what a fresh data directory is going to belong to.
func identity(c *config.Config, host string) actors.Identity {
	var ids []uint64
	for _, m := range c.InitialCluster {
		ids = append(ids, config.MemberID(texts(m.PeerURLs), c.InitialClusterToken))
	}
	return actors.Identity{
		ClusterID:   config.ClusterID(ids...),
		MemberID:    config.MemberID(texts(c.InitialAdvertisePeerURLs), c.InitialClusterToken),
		Name:        c.Name,
		Token:       c.InitialClusterToken,
		Shards:      dataShards,
		ExecShards:  execShards,
		RaftAddress: c.InitialAdvertisePeerURLs[0].Host,
		Host:        host,
		Created:     time.Now().UTC(),
	}
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

func nodeOptions(c *config.Config, dir *actors.DataDir, storeFiles int, log *slog.Logger, began time.Time) actors.NodeOptions {
	id := dir.Identity
	return actors.NodeOptions{
		Host: actors.HostOptions{
			Dir:            dir.RaftDir(),
			Replica:        id.MemberID,
			RaftAddress:    id.RaftAddress,
			ListenAddress:  c.ListenPeerURLs[0].Host,
			DeploymentID:   deployment(id.Token),
			Shards:         id.Shards,
			ExecShards:     id.ExecShards,
			Heartbeat:      c.Heartbeat,
			Election:       c.ElectionTimeout,
			SnapshotCount:  c.SnapshotCount,
			RequestTimeout: c.RequestTimeout,
			Logger:         log,
		},
		ShardDirs: []string{dir.ShardDir(1)},
		Window:    c.EventHistory,
		CacheSize: c.CacheSize,
		OpenFiles: storeFiles,
		LogBytes:  logBytes,
		Cluster: tree.Cluster{
			ID:   id.ClusterID,
			Self: id.MemberID,
			Members: []tree.Member{{
				ID:         id.MemberID,
				Name:       id.Name,
				PeerURLs:   slices.Sorted(slices.Values(texts(c.InitialAdvertisePeerURLs))),
				ClientURLs: texts(c.AdvertiseClientURLs),
			}},
			Started: began,
		},
		Logger: log,
	}
}

// deployment tells raft traffic of different clusters apart.
func deployment(token string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(token)) // a hash takes everything
	return max(1, h.Sum64())
}

func texts(urls []url.URL) []string {
	var list []string
	for _, u := range urls {
		list = append(list, u.String())
	}
	return list
}
