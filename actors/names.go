package actors

import (
	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/actors/disk"
	"copse/actors/loop"
	"copse/actors/raft"
)

// Names of the packages below, and former ones of this package, that package main
// still uses.
type (
	Node        = Member
	NodeOptions = MemberOptions

	Group       = loop.Group
	DataDir     = datadir.Dir
	Identity    = datadir.Identity
	Claim       = datadir.Claim
	Fresh       = cluster.Bootstrap
	Peers       = cluster.Peers
	HostOptions = raft.Options
	DiskWatch   = disk.Watch
	DiskOptions = disk.Options
)

// Likewise.
var (
	NewNode      = NewMember
	NewDiskWatch = disk.NewWatch
	OpenDataDir  = datadir.Open
	Founded      = datadir.Founded
	Enlist       = cluster.Identify

	ErrDirLocked       = datadir.ErrLocked
	ErrDirNewer        = datadir.ErrNewer
	ErrDirCorrupt      = datadir.ErrCorrupt
	ErrDirForeign      = datadir.ErrForeign
	ErrDirContradicted = datadir.ErrContradicted
	ErrRemoved         = cluster.ErrRemoved
	ErrRaftDamaged     = raft.ErrDamaged
)
