package statemachine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"copse/statemachine/tree"
)

// Format is the version of a store's layout from the first transaction on, or the first request that
// may be repeated. Until then the store has formatTimed, and formatUntimed until the first batch that
// carries the shard's time, as members may be of a version that knows only that.
const (
	Format        = 7
	formatTimed   = 6
	formatUntimed = 5
	formatRows    = 8 // of CURRENT, never of meta, which snapshots have: they are as before
)

// meta is the replica's state besides its nodes. It is written in the same batch as each
// change, so it always agrees with the nodes and with the raft index.
type meta struct {
	raftIndex   uint64     // of the last raft entry applied
	hash        uint64     // of all raft entries applied; see nextHash
	last        tree.Index // the tree's index; see ApplyResult.Last
	oldest      tree.Index // the index of the first event in the oldest record of the window; 0: none
	trimmed     tree.Index // all events from this index on are still in the window; above last if that is empty
	epoch       uint64     // the highest epoch of any batch applied; see docs/SHARDS.md
	windowBytes uint64     // total JSON size of the events in the window
	stats       tree.Stats // writes only
	counts      counts
	clock       tree.Clock // of the last batch that carries one
	timed       uint64     // its epoch, if it was applied since the start; not stored
	once        once       // the answers that are kept
}

// numbers lists meta's fields in the order of the record, which is the format and then
// these, 8 bytes each, from formatTimed on the clock, and from Format on the answers kept.
func (m *meta) numbers() []*uint64 {
	s := &m.stats
	return []*uint64{
		&m.raftIndex, &m.hash, (*uint64)(&m.last), (*uint64)(&m.oldest), (*uint64)(&m.trimmed), &m.windowBytes,
		&s.SetsSuccess, &s.SetsFail, &s.DeleteSuccess, &s.DeleteFail,
		&s.UpdateSuccess, &s.UpdateFail, &s.CreateSuccess, &s.CreateFail,
		&s.CompareAndSwapSuccess, &s.CompareAndSwapFail,
		&s.CompareAndDeleteSuccess, &s.CompareAndDeleteFail, &s.ExpireCount,
		&m.counts.nodes, &m.counts.expiring, &m.epoch,
	}
}

func (m *meta) append(dst []byte) []byte {
	format := m.format()
	dst = binary.BigEndian.AppendUint64(dst, format)
	for _, n := range m.numbers() {
		dst = binary.BigEndian.AppendUint64(dst, *n)
	}
	if format >= formatTimed {
		dst = binary.BigEndian.AppendUint64(dst, uint64(m.clock.Time))
		dst = binary.BigEndian.AppendUint64(dst, uint64(m.clock.Shift))
	}
	if format >= Format {
		dst = binary.BigEndian.AppendUint64(dst, m.once.answers)
		dst = binary.BigEndian.AppendUint64(dst, m.once.bytes)
	}
	return dst
}

func (m *meta) format() uint64 {
	switch {
	case m.once.newest:
		return Format
	case m.clock.Known():
		return formatTimed
	}
	return formatUntimed
}

// ErrNewerFormat and ErrOlderFormat report a store written by another version of copse.
var (
	ErrNewerFormat = errors.New("the data is in a newer format than this copse knows: start the newer copse again")
	ErrOlderFormat = errors.New("the data is in an older format, which this copse no longer reads: start with an empty data directory")
)

// formatError is the error for data of the given format; nil: it can be read.
func formatError(format, newest uint64) error {
	switch {
	case format > newest:
		return fmt.Errorf("%w (format %d)", ErrNewerFormat, format)
	case format < formatUntimed:
		return fmt.Errorf("%w (format %d)", ErrOlderFormat, format)
	}
	return nil
}

func readMeta(rec []byte) (meta, error) {
	var m meta
	if len(rec) < 8 {
		return m, fmt.Errorf("%w: meta", ErrDamaged)
	}
	format := binary.BigEndian.Uint64(rec)
	if err := formatError(format, Format); err != nil {
		return m, err
	}
	var clock [2]uint64
	fields := m.numbers()
	if format >= formatTimed {
		fields = append(fields, &clock[0], &clock[1])
	}
	if format >= Format {
		fields = append(fields, &m.once.answers, &m.once.bytes)
	}
	if rec = rec[8:]; len(rec) != 8*len(fields) {
		return m, fmt.Errorf("%w: meta", ErrDamaged)
	}
	for i, n := range fields {
		*n = binary.BigEndian.Uint64(rec[8*i:])
	}
	m.clock = tree.Clock{Time: int64(clock[0]), Shift: int64(clock[1])}
	m.once.newest, m.once.from = format == Format, math.MinInt64
	if m.format() != format {
		return m, fmt.Errorf("%w: meta", ErrDamaged)
	}
	return m, nil
}
