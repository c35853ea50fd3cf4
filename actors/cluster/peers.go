package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
	Abilities
}

// Abilities are what a member can read in the log. Versions of copse that don't say can't.
type Abilities struct {
	Timed bool `json:"timed"` // batches that carry the shard's time (tree.Clock)
	Txns  bool `json:"txns"`  // transactions, and requests that may be repeated (tree.Once)
	// Staged: large values that come in parts (tree.OpStage).
	Staged bool `json:"staged"`
}

// full is what this version can read.
var full = Abilities{Timed: true, Txns: true, Staged: true}

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
	answers, fails := make([]Note, len(p.URLs)), make([]error, len(p.URLs))
	var all sync.WaitGroup
	for i, url := range p.URLs {
		all.Go(func() { answers[i], fails[i] = p.note(ctx, url) })
	}
	all.Wait()
	for i, fail := range fails {
		if fail == nil {
			notes = append(notes, answers[i])
		}
	}
	return notes, p.joined(fails)
}

// joined has one line for each reason, with the URLs that it is of.
func (p Peers) joined(fails []error) error {
	var reasons []string
	urls := map[string][]string{} // by reason
	for i, fail := range fails {
		if fail == nil {
			continue
		}
		reason := strings.ReplaceAll(fail.Error(), p.URLs[i]+": ", "") // the link says it too
		if urls[reason] == nil {
			reasons = append(reasons, reason)
		}
		urls[reason] = append(urls[reason], p.URLs[i])
	}
	if reasons == nil {
		return nil
	}
	for i, reason := range reasons {
		reasons[i] = strings.Join(urls[reason], ", ") + ": " + reason
	}
	return silence{strings.Join(reasons, "\n"), fails}
}

// silence is why members didn't answer.
type silence struct {
	text  string
	fails []error
}

func (s silence) Error() string   { return s.text }
func (s silence) Unwrap() []error { return s.fails }

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
	// Ask asks as a stranger would, whom members of any generation answer.
	Ask                   func(ctx context.Context, url string, kind uint8, payload []byte) ([]byte, error)
	ClusterID, Generation uint64 // this member's
	Restored              bool   // its generation is of a restore: others' may be earlier or later
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

// ErrFormer is the cause if this member's data is of a former generation of its cluster.
var ErrFormer = errors.New("its data is of a former generation of the cluster, which was started anew without it (--force-new-cluster, or a restore), and can't come back. Keep a copy of the directory if writes may be missing elsewhere, add the member anew (POST /v2/members), and start it with an empty --data-dir and --initial-cluster-state=existing")

// Refusal asks whether any of members refuses to speak to this one for good: it returns
// ErrRemoved if they have removed its replicas, an error that wraps ErrFormer if they are of
// a later generation, or else nil. A member that was away when that happened can't learn it
// from its log, and even one that was there may not.
func (o Others) Refusal(ctx context.Context, members []tree.Member) error {
	strangers := false
	for _, err := range o.ask(ctx, members) {
		if errors.Is(err, peerlink.Removed) {
			return ErrRemoved
		}
		strangers = strangers || errors.Is(err, peerlink.WrongGeneration)
	}
	if !strangers || o.Restored {
		return nil
	}
	var urls []string
	for _, m := range members {
		if m.ID != o.Self {
			urls = append(urls, m.PeerURLs...)
		}
	}
	notes, _ := Peers{URLs: urls, Ask: o.Ask}.notes(ctx) // asked again later
	for _, note := range notes {
		if note.ClusterID == o.ClusterID && note.Generation > o.Generation {
			return fmt.Errorf("this member is of generation %d, and %x of generation %d: %w", o.Generation, note.Self, note.Generation, ErrFormer)
		}
	}
	return nil
}

// Abilities are what all members can read.
func (o Others) Abilities(ctx context.Context, members []tree.Member) (all Abilities) {
	if len(members) > 0 {
		all = full
	}
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	for _, m := range members {
		if m.ID == o.Self {
			continue
		}
		var note Note
		answer, err := o.Call(ctx, m.ID, CallNote, nil)
		if err != nil || json.Unmarshal(answer, &note) != nil {
			return Abilities{}
		}
		all.Timed, all.Txns, all.Staged = all.Timed && note.Timed, all.Txns && note.Txns, all.Staged && note.Staged
	}
	return all
}

// alive reports which of members answer right now, counting this one.
func (o Others) alive(ctx context.Context, members []tree.Member) map[uint64]bool {
	alive := map[uint64]bool{o.Self: true}
	for id, err := range o.ask(ctx, members) {
		alive[id] = err == nil
	}
	return alive
}
