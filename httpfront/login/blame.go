package login

import (
	"net/netip"
	"time"
)

// blame counts the wrong passwords that hosts have sent lately. Those for users that exist
// count twice, apart from each other: in the user's line a right password shouldn't be late
// because its host also tries names that don't exist, and in the host's line it must not
// show whether they do.
type blame struct {
	of map[culprit]wrongs
}

type culprit struct {
	from  netip.Addr
	known bool // as to users that exist
}

// wrongs is how many wrong passwords there were, up to blameMost, and when the last was.
type wrongs struct {
	n    int
	last time.Time
}

const (
	blameMost  = 8
	blameLast  = 10 * time.Minute // after the last wrong password all is forgotten
	blameLimit = 1 << 14          // culprits that are remembered; beyond it an arbitrary one is forgotten for each new one
)

func newBlame() blame { return blame{of: make(map[culprit]wrongs)} }

// add notes a wrong password of a.
func (b *blame) add(a asker) {
	b.count(culprit{from: a.from})
	if a.user != "" {
		b.count(culprit{from: a.from, known: true})
	}
}

func (b *blame) count(c culprit) {
	w, there := b.of[c]
	switch {
	case !there && len(b.of) >= blameLimit:
		for other := range b.of {
			delete(b.of, other)
			break
		}
	case time.Since(w.last) > blameLast:
		w.n = 0
	}
	b.of[c] = wrongs{min(w.n+1, blameMost), time.Now()}
}

// on returns how much blame those in a's line have.
func (b *blame) on(a asker) int {
	w := b.of[culprit{from: a.from, known: a.user != ""}]
	if a.hashes || time.Since(w.last) > blameLast {
		return 0
	}
	return w.n
}
