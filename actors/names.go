package actors

import (
	"copse/actors/datadir"
	"copse/actors/loop"
)

// Names of the packages below that package main uses, so that it has one to speak
// to.
type (
	Group    = loop.Group
	DataDir  = datadir.Dir
	Identity = datadir.Identity
	Claim    = datadir.Claim
)

var (
	OpenDataDir = datadir.Open
	Founded     = datadir.Founded

	ErrDirLocked       = datadir.ErrLocked
	ErrDirUnwritable   = datadir.ErrUnwritable
	ErrDirNotDirectory = datadir.ErrNotDirectory
	ErrDirNewer        = datadir.ErrNewer
	ErrDirCorrupt      = datadir.ErrCorrupt
	ErrDirForeign      = datadir.ErrForeign
	ErrDirContradicted = datadir.ErrContradicted
)
