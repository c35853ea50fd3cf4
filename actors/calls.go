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
	// callReady asks how far the member has applied a shard that it could lead.
	callReady
	// callCompare asks for the hashes of the member's replicas.
	callCompare
	// callMirror is about the source that the cluster follows: see mirrorCall.
	callMirror
)

// Messages between members, over the peer link: see package shard.
const (
	postSubmission uint8 = iota + 1
	postRefusal
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
			Abilities: cluster.Abilities{Timed: true, Txns: true, Staged: true},
		})
	case callReady:
		return n.answerReady(payload)
	case callCompare:
		return n.answerCompare(ctx, payload)
	case callMirror:
		return n.answerMirror(ctx, payload)
	default:
		return nil, fmt.Errorf("unknown call %d: this member may run an older copse", kind)
	}
}
