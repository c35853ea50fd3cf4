package raftlog

import (
	"fmt"
)

// Damage says that the log on disk isn't what was written to it, at a place that no
// crash explains. What lies before the place is sound.
type Damage struct {
	File   string // the file's path
	Offset int64  // in bytes, from the file's beginning
	Reason string
	// Position is the end of what is sound, for Cut; zero if there is nothing to cut.
	Position Position
}

func (d *Damage) Error() string {
	return fmt.Sprintf("the raft log is damaged: %s, byte %d: %s", d.File, d.Offset, d.Reason)
}

// Position is a place in a log: a sector of a segment.
type Position struct {
	Segment uint64
	Sector  uint32
}

func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Segment, p.Sector) }

// ParsePosition reads what String has printed.
func ParsePosition(text string) (Position, error) {
	var p Position
	if n, err := fmt.Sscanf(text, "%d:%d", &p.Segment, &p.Sector); err != nil || n != 2 || p.String() != text {
		return Position{}, fmt.Errorf("%q is not a place in a raft log, like 12:345", text)
	}
	return p, nil
}
