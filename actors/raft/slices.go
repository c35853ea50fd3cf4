package raft

import (
	_ "unsafe" // for go:linkname

	_ "github.com/lni/dragonboat/v4" // initializes the two before init
)

// dragonboat keeps the entries that are not applied yet in a slice, and makes a new one, by
// default for 512 entries, whenever the last was applied. That was 36 KB of garbage for a
// lone PUT, and its collection the slowest two percent of them. The two sizes can only be
// set by a file in the working directory, or like this; the linker fails if they are gone.
// See docs/decisions/2026-11-29-entry-slices.md.

//go:linkname entrySliceSize github.com/lni/dragonboat/v4/internal/raft.entrySliceSize
var entrySliceSize uint64

//go:linkname minEntrySliceSize github.com/lni/dragonboat/v4/internal/raft.minEntrySliceSize
var minEntrySliceSize uint64

func init() {
	entrySliceSize, minEntrySliceSize = 32, 8
}
