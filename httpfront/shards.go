package httpfront

import (
	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// shardJSON is a raft group of /v2/copse/shards.
type shardJSON struct {
	ID      uint64   `json:"id"`
	Slot    *int     `json:"slot,omitempty"`
	Leader  string   `json:"leader"` // empty: unknown
	Term    uint64   `json:"term"`
	Applied uint64   `json:"appliedIndex"`
	Index   uint64   `json:"index"`
	Keys    *uint64  `json:"keys,omitempty"`
	Bytes   uint64   `json:"bytes"`
	Watches *uint64  `json:"watchers,omitempty"`
	Members []string `json:"members"`
}

// shardsJSON is the body of /v2/copse/shards.
type shardsJSON struct {
	Shards []shardJSON `json:"shards"`
	Order  *shardJSON  `json:"order,omitempty"`
	Closed uint64      `json:"closedIndex"`
}

func newShardJSON(s *tree.ShardStatus) shardJSON {
	out := shardJSON{ID: s.ID, Term: s.Term, Applied: s.Applied, Index: uint64(s.Index), Bytes: s.Bytes, Members: []string{}}
	if s.Leader != 0 {
		out.Leader = formatID(s.Leader)
	}
	for _, id := range s.Members {
		out.Members = append(out.Members, formatID(id))
	}
	return out
}

// serveShards serves this member's view of the shards. etcd has no such path.
func (s *Server) serveShards(ctx *fasthttp.RequestCtx) {
	all := s.backend.Shards()
	out := shardsJSON{Shards: []shardJSON{}, Closed: uint64(all.Closed)}
	for i := range all.Data {
		d := &all.Data[i]
		j := newShardJSON(d)
		j.Slot, j.Keys, j.Watches = &d.Slot, &d.Nodes, &d.Watchers
		out.Shards = append(out.Shards, j)
	}
	if all.Order != nil {
		order := newShardJSON(all.Order)
		out.Order = &order
	}
	writeJSON(ctx, fasthttp.StatusOK, &out)
}
