package portable

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// Version is the version of the format, the only one that is read and written.
const Version = 1

// ErrNotWhole is the error of whatever isn't a whole file of this format: another kind of
// file, one that was cut off or damaged, or one of a newer version.
var ErrNotWhole = errors.New("not a whole backup")

// Header is the first line.
type Header struct {
	ClusterID   uint64
	Index       tree.Index // of the tree; no node and no event is newer
	Term        uint64     // the highest that the cluster has reported
	Time        time.Time  // when the tree was read
	Shards      int
	AuthEnabled bool
	Nodes       uint64
	Window      tree.Index // no event from here on is missing; 0: there are none in the file
}

// Item is one line after the header: exactly one field is set.
type Item struct {
	Node  *tree.Node
	Role  *auth.Role
	User  *auth.User
	Event *tree.Event
}

func (h *Header) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"copse":`...), Version, 10)
	dst = fmt.Appendf(dst, `,"clusterId":"%016x","index":%d,"term":%d,"time":`, h.ClusterID, h.Index, h.Term)
	dst = appendTime(dst, h.Time)
	dst = fmt.Appendf(dst, `,"shards":%d,"authEnabled":%t,"nodes":%d`, h.Shards, h.AuthEnabled, h.Nodes)
	if h.Window != 0 {
		dst = fmt.Appendf(dst, `,"window":%d`, h.Window)
	}
	return append(dst, '}')
}

func readHeader(line []byte) (h Header, err error) {
	s := scanner{left: line}
	s.need(`{"copse":`)
	if v := s.number(); !s.failed && v != Version {
		return h, fmt.Errorf("version %d of the format, of which this copse knows %d", v, Version)
	}
	s.need(`,"clusterId":`)
	id := s.text()
	h.ClusterID, err = strconv.ParseUint(string(id), 16, 64)
	s.need(`,"index":`)
	h.Index = tree.Index(s.number())
	s.need(`,"term":`)
	h.Term = s.number()
	s.need(`,"time":`)
	h.Time = s.time()
	s.need(`,"shards":`)
	shards := s.number()
	h.Shards = int(min(shards, 1<<20))
	s.need(`,"authEnabled":`)
	h.AuthEnabled = s.has("true")
	if !h.AuthEnabled {
		s.need("false")
	}
	s.need(`,"nodes":`)
	h.Nodes = s.number()
	if s.has(`,"window":`) {
		h.Window = tree.Index(s.number())
	}
	if s.end(); s.failed || err != nil {
		return h, errForm
	}
	return h, h.check()
}

// indexLimit leaves room above, so that no sum of indexes overflows.
const indexLimit = 1 << 62

func (h *Header) check() error {
	switch {
	case h.ClusterID == 0:
		return errors.New("a header without a cluster id")
	case h.Index > indexLimit:
		return fmt.Errorf("the index %d, above the limit of %d", h.Index, uint64(indexLimit))
	case h.Shards < 1 || h.Shards > tree.MaxSlots:
		return fmt.Errorf("%d shards, which must be between 1 and %d", h.Shards, tree.MaxSlots)
	case h.Window > h.Index+1:
		return fmt.Errorf("a window that begins at %d, above the index %d", h.Window, h.Index)
	case h.Time.Year() < 1 || h.Time.Year() > 9999:
		return fmt.Errorf("a time in the year %d", h.Time.Year())
	}
	return nil
}

// footer is the last line.
func footer(dst []byte, nodes uint64, sum [sha256.Size]byte) []byte {
	dst = strconv.AppendUint(append(dst, `{"end":true,"nodes":`...), nodes, 10)
	dst = hex.AppendEncode(append(dst, `,"sha256":"`...), sum[:])
	return append(dst, '"', '}')
}
