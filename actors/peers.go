package actors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"copse/actors/peerlink"
	"copse/statemachine/tree"
)

// Calls between members, over the peer link.
const (
	// callCluster asks what cluster a member belongs to. Anyone who reaches the
	// peer port may ask: a newcomer is a stranger. Answered with a clusterNote.
	callCluster uint8 = iota + 1
	// callReady asks how far the member has applied a shard that it could lead.
	callReady
)

// Messages between members, over the peer link: see package shard.
const (
	postSubmission uint8 = iota + 1
	postRefusal
)

// clusterNote is what a member tells of its cluster.
type clusterNote struct {
	ClusterID  uint64        `json:"clusterId"`
	Generation uint64        `json:"generation"`
	Token      string        `json:"token"`
	Shards     int           `json:"shards"`
	Self       uint64        `json:"self"`
	Founded    bool          `json:"founded"` // the tree is there
	Members    []tree.Member `json:"members"`
	Removed    []uint64      `json:"removed"`
}

// answerCall serves the calls of other members and of strangers.
func (n *Node) answerCall(ctx context.Context, from uint64, kind uint8, payload []byte) ([]byte, error) {
	switch kind {
	case callCluster:
		ms := n.machine.Membership()
		id := n.id
		return json.Marshal(clusterNote{
			ClusterID: id.ClusterID, Generation: id.Generation, Token: id.Token, Shards: id.Shards,
			Self: id.MemberID, Founded: n.machine.Index() > 0, Members: ms.Members, Removed: ms.Removed,
		})
	case callReady:
		return n.answerReady(payload)
	default:
		return nil, fmt.Errorf("unknown call %d: this member's copse may be older", kind)
	}
}

// Peers is where a fresh member, which belongs to no cluster yet, asks its way.
type Peers struct {
	URLs []string // of other members
	Ask  func(ctx context.Context, url string, kind uint8, payload []byte) ([]byte, error)
}

// peerLimit is how long one member may take to answer.
const peerLimit = 2 * time.Second

// notes asks every peer at once, and returns the answers that came. err says
// why those that didn't answer were silent.
func (p Peers) notes(ctx context.Context) (notes []clusterNote, err error) {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, url := range p.URLs {
		all.Go(func() {
			answer, fail := p.Ask(ctx, url, callCluster, nil)
			var note clusterNote
			if fail == nil {
				fail = json.Unmarshal(answer, &note)
			}
			mu.Lock()
			defer mu.Unlock()
			if fail != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", url, fail))
				return
			}
			notes = append(notes, note)
		})
	}
	all.Wait()
	return notes, err
}

// alive reports which of members answer right now; self always does.
func (n *Node) alive(ctx context.Context, members []tree.Member) map[uint64]bool {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	answers := map[uint64]bool{n.self(): true}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, m := range members {
		if m.ID == n.self() {
			continue
		}
		all.Go(func() {
			_, err := n.link.Call(ctx, m.ID, callCluster, nil)
			mu.Lock()
			defer mu.Unlock()
			answers[m.ID] = err == nil
		})
	}
	all.Wait()
	return answers
}

// letGo asks the others whether this member still has a place among them: they
// refuse to speak to one whose replicas they have taken out. A member that was away
// when that happened can't learn it from its log, nor can one always that was there.
func (n *Node) letGo(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	for _, m := range n.machine.Membership().Members {
		if m.ID == n.self() {
			continue
		}
		if _, err := n.link.Call(ctx, m.ID, callCluster, nil); errors.Is(err, peerlink.Removed) {
			return true
		}
	}
	return false
}
