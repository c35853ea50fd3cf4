package mirror

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"copse/statemachine/tree"
)

const (
	// settleAfter is how long a member may take to say that a write has passed through it.
	settleAfter = 2 * time.Second
	// foreignRecent is how long ago the last foreign write must be for a promotion.
	foreignRecent = 30 * time.Second
	foreignKeys   = 1000    // keys that are counted by themselves
	foreignLimit  = 1 << 16 // events, and indexes, that wait for each other
)

// Foreign are the writes of clients that still go to the source directly, to one top-level key.
type Foreign struct {
	Key   string    `json:"key"`
	Count uint64    `json:"count"`
	Last  time.Time `json:"last"`
}

// foreign distinguishes the source's events that came through members from others. Expirations
// count as neither.
type foreign struct {
	mu      sync.Mutex
	since   time.Time // this member has followed since
	passed  map[tree.Index]struct{}
	pending []happening
	counts  map[string]*Foreign
	asked   map[uint64]uint64 // how much is known, by member
	silent  []uint64          // members that didn't answer
}

type happening struct {
	index tree.Index
	key   string
	at    time.Time
}

// forget begins anew: another member may have followed meanwhile.
func (r *foreign) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.passed, r.pending = time.Now(), map[tree.Index]struct{}{}, nil
	r.counts, r.asked, r.silent = map[string]*Foreign{}, map[uint64]uint64{}, nil
}

func (r *foreign) event(e *tree.Event) {
	if e.Action == tree.ActionExpire {
		return
	}
	top, _, _ := strings.Cut(strings.TrimPrefix(e.Node.Key, "/"), "/")
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) < foreignLimit {
		r.pending = append(r.pending, happening{e.Index(), "/" + top, time.Now()})
	}
}

// heard notes a member's answer, or that there was none.
func (r *foreign) heard(member uint64, p Passed, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.silent = append(r.silent, member)
		return
	}
	r.asked[member] = p.Next
	if len(r.passed) > foreignLimit {
		clear(r.passed) // of refreshes and the like, which have no event
	}
	for _, at := range p.Indexes {
		r.passed[at] = struct{}{}
	}
}

// settle counts the events that no member has passed on, of those that are old enough.
func (r *foreign) settle(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.pending[:0]
	for _, h := range r.pending {
		if _, ok := r.passed[h.index]; ok {
			delete(r.passed, h.index)
			continue
		}
		if h.at.After(before) {
			kept = append(kept, h)
			continue
		}
		c := r.counts[h.key]
		if c == nil {
			if len(r.counts) >= foreignKeys {
				h.key = "(others)"
			}
			if c = r.counts[h.key]; c == nil {
				c = &Foreign{Key: h.key}
				r.counts[h.key] = c
			}
		}
		c.Count++
		c.Last = h.at
	}
	r.pending = kept
}

// list returns the counts, the latest first, and who hasn't answered.
func (r *foreign) list() (all []Foreign, silent []uint64, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.counts {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Foreign) int { return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Key, b.Key)) })
	return all, slices.Clone(r.silent), r.since
}

// recent are the keys that clients have written to at the source since then.
func (r *foreign) recent(since time.Time) (keys []string) {
	all, _, _ := r.list()
	for _, c := range all {
		if c.Last.After(since) {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// askPeers asks all members, now and then, what has passed through them.
func (f *Follower) askPeers(ctx context.Context) {
	if now := time.Now(); now.Sub(f.peers) > peersPause {
		f.peers = now
		f.askAll(ctx)
		f.foreign.settle(now.Add(-settleAfter))
	}
}

// askAll asks all members, and returns what they say last.
func (f *Follower) askAll(ctx context.Context) (all []Passed) {
	r := &f.foreign
	r.mu.Lock()
	r.silent = nil
	r.mu.Unlock()
	self := Peer{Passed: func(_ context.Context, from uint64) (Passed, error) { return f.o.Gate.Passed(from), nil }}
	for _, peer := range append([]Peer{self}, f.o.Peers()...) {
		for {
			r.mu.Lock()
			from := r.asked[peer.Member]
			r.mu.Unlock()
			limited, cancel := context.WithTimeout(ctx, time.Second)
			p, err := peer.Passed(limited, from)
			cancel()
			r.heard(peer.Member, p, err)
			if err == nil && len(p.Indexes) == passedPage {
				continue
			}
			if err == nil {
				all = append(all, p)
			}
			break
		}
	}
	return all
}
