package actors

import (
	"errors"

	"copse/actors/cluster"
	"copse/actors/datadir"
	"copse/actors/raft"
	"copse/statemachine"
)

// Reason is what kind of error keeps a member from running.
type Reason int

// The reasons.
const (
	Failed       Reason = iota
	Contradicted        // the settings contradict the data directory, or name what can't be one
	Locked              // another process has the data directory
	Newer               // another copse has written the data, in its own format
	Damaged             // the data is damaged, incomplete or not copse's
	Partial             // what was asked for was refused, or is done only in part
)

// ReasonOf returns the reason of err.
func ReasonOf(err error) Reason {
	for _, kind := range []struct {
		err    error
		reason Reason
	}{
		{datadir.ErrContradicted, Contradicted}, {datadir.ErrNotDirectory, Contradicted}, {datadir.ErrForbidden, Contradicted},
		{datadir.ErrLocked, Locked},
		{datadir.ErrNewer, Newer}, {statemachine.ErrNewerFormat, Newer}, {statemachine.ErrOlderFormat, Newer},
		{datadir.ErrCorrupt, Damaged}, {datadir.ErrForeign, Damaged}, {raft.ErrDamaged, Damaged}, {statemachine.ErrDamaged, Damaged},
		{cluster.ErrDiffers, Damaged}, {cluster.ErrFormer, Damaged},
		{ErrNotFounder, Contradicted}, {errOtherFounding, Contradicted}, {cluster.ErrShards, Contradicted}, {datadir.ErrTaken, Partial}, {datadir.ErrFounded, Partial}, {ErrIncomplete, Partial},
		{cluster.ErrStartedBefore, Contradicted}, {cluster.ErrNoData, Contradicted},
	} {
		if errors.Is(err, kind.err) {
			return kind.reason
		}
	}
	return Failed
}
