package cluster

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

// CallNote is the kind of the peer call that asks which cluster a member belongs to. It
// is answered with a Note, and anyone who can reach the peer port may make it, since a
// newcomer isn't a member yet.
const CallNote uint8 = 1

// Note is what a member says about its cluster.
type Note struct {
	ClusterID  uint64        `json:"clusterId"`
	Generation uint64        `json:"generation"`
	Token      string        `json:"token"`
	Shards     int           `json:"shards"`
	Self       uint64        `json:"self"`
	Founded    bool          `json:"founded"` // the tree exists
	Members    []tree.Member `json:"members"`
	Removed    []uint64      `json:"removed"`
}

// peerLimit bounds how long one member may take to answer.
const peerLimit = 2 * time.Second

// Peers are the members that a fresh member, which belongs to no cluster yet, asks.
type Peers struct {
	URLs []string // of other members
	Ask  func(ctx context.Context, url string, kind uint8, payload []byte) ([]byte, error)
}

// notes asks every peer at once and returns the answers, in any order. err says why the
// others didn't answer.
func (p Peers) notes(ctx context.Context) (notes []Note, err error) {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, url := range p.URLs {
		all.Go(func() {
			note, fail := p.note(ctx, url)
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

func (p Peers) note(ctx context.Context, url string) (note Note, err error) {
	answer, err := p.Ask(ctx, url, CallNote, nil)
	if err == nil {
		err = json.Unmarshal(answer, &note)
	}
	return note, err
}

// Others are the other members of this member's cluster.
type Others struct {
	Self uint64
	Call func(ctx context.Context, member uint64, kind uint8, payload []byte) ([]byte, error)
}

// ask calls all members but this one at once. The result has what became of each call.
func (o Others) ask(ctx context.Context, members []tree.Member) map[uint64]error {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	outcomes := map[uint64]error{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, m := range members {
		if m.ID == o.Self {
			continue
		}
		all.Go(func() {
			_, err := o.Call(ctx, m.ID, CallNote, nil)
			mu.Lock()
			defer mu.Unlock()
			outcomes[m.ID] = err
		})
	}
	all.Wait()
	return outcomes
}

// Refuse reports whether any of members refuses to speak to this one, as they do with a
// member whose replicas they have removed. A member that was away when that happened
// can't learn it from its log, and even one that was there may not.
func (o Others) Refuse(ctx context.Context, members []tree.Member) bool {
	for _, err := range o.ask(ctx, members) {
		if errors.Is(err, peerlink.Removed) {
			return true
		}
	}
	return false
}

// alive reports which of members answer right now, counting this one.
func (o Others) alive(ctx context.Context, members []tree.Member) map[uint64]bool {
	alive := map[uint64]bool{o.Self: true}
	for id, err := range o.ask(ctx, members) {
		alive[id] = err == nil
	}
	return alive
}
