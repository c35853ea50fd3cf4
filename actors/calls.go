package actors

import (
	"context"
	"encoding/json"
	"fmt"

	"copse/actors/cluster"
)

// Calls between members, over the peer link.
const (
	callNote = cluster.CallNote + iota
	// callHold asks a member to propose nothing to a shard, whose leader is about
	// to hand it over: see handover.go. The payload is the shard's id; the answer
	// is empty, and comes when the member is at rest.
	callHold
	// callWrite asks the member that leads a shard to carry out writes: see courier.go.
	callWrite
	// callReady asks how far the member has applied a shard that it could lead.
	callReady
)

// carriedLimit bounds a call and its answer where writes are carried: an answer
// holds the values before the writes and those after.
const (
	carriedLimit = 64 << 20
	carriedSlack = 1 << 20 // for what comes after an answer that fills it
)

// answerCall serves the calls of other members, and callNote for strangers too.
func (n *Member) answerCall(ctx context.Context, from uint64, kind uint8, payload []byte) ([]byte, error) {
	switch kind {
	case callNote:
		ms := n.machine.Membership()
		id := n.id
		return json.Marshal(cluster.Note{
			ClusterID: id.ClusterID, Generation: id.Generation, Token: id.Token, Shards: id.Shards,
			Self: id.MemberID, Founded: n.machine.Index() > 0, Members: ms.Members, Removed: ms.Removed,
		})
	case callHold:
		return nil, n.answerHold(ctx, from, payload)
	case callWrite:
		return n.answerWrites(payload)
	case callReady:
		return n.answerReady(payload)
	default:
		return nil, fmt.Errorf("unknown call %d: this member may run an older copse", kind)
	}
}
