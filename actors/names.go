package actors

import (
	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/actors/disk"
	"copse/actors/loop"
	"copse/actors/raft"
)

// Names of the packages below that package main uses, so that it has one to speak
// to.
type (
	Group    = loop.Group
	DataDir  = datadir.Dir
	Identity = datadir.Identity
	Claim    = datadir.Claim

	HostOptions = raft.Options
	Fresh       = cluster.Bootstrap
	Peers       = cluster.Peers
	DiskWatch   = disk.Watch
	DiskOptions = disk.Options
)

var (
	OpenDataDir = datadir.Open
	Founded     = datadir.Founded
	Enlist      = cluster.Identify

	NewDiskWatch = disk.NewWatch

	ErrRemoved     = cluster.ErrRemoved
	ErrRaftDamaged = raft.ErrDamaged

	ErrDirLocked       = datadir.ErrLocked
	ErrDirUnwritable   = datadir.ErrUnwritable
	ErrDirNotDirectory = datadir.ErrNotDirectory
	ErrDirNewer        = datadir.ErrNewer
	ErrDirCorrupt      = datadir.ErrCorrupt
	ErrDirForeign      = datadir.ErrForeign
	ErrDirContradicted = datadir.ErrContradicted
)
