package mirror

import (
	"sync"

	"copse/statemachine/tree"
)

// passedLimit is how many writes a member remembers to have passed on.
const passedLimit = 1 << 15

// passed are the indexes that the source gave to writes which passed through this member.
type passed struct {
	mu    sync.Mutex
	at    []tree.Index // a ring once it has grown to passedLimit
	count uint64       // all that were added
}

func (p *passed) add(at tree.Index) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.at) < passedLimit {
		p.at = append(p.at, at)
	} else {
		p.at[p.count%passedLimit] = at
	}
	p.count++
}

func (p *passed) total() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Passed says what has passed through a member, and where it stands in a promotion.
type Passed struct {
	Next    uint64       // to ask for what follows
	Indexes []tree.Index // of writes, that the source has answered
	Hold    uint64       // the promotion for which it holds writes
	Flight  int64        // requests that the source has not answered yet
}

// passedPage is how many indexes one answer has.
const passedPage = 4096

// Passed returns what has passed from the given count on.
func (g *Gate) Passed(from uint64) Passed {
	hold := g.store.Mirror().Hold
	out := Passed{Hold: hold, Flight: g.flight.Load()} // what enters later waits
	p := &g.passed
	p.mu.Lock()
	defer p.mu.Unlock()
	if from > p.count { // of an earlier life of this member
		from = 0
	}
	from = max(from, p.count-uint64(len(p.at)))
	for ; from < p.count && len(out.Indexes) < passedPage; from++ {
		out.Indexes = append(out.Indexes, p.at[from%passedLimit])
	}
	out.Next = from
	return out
}
