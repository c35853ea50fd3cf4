package statemachine

import (
	"sync/atomic"

	"copse/statemachine/auth"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2"
)

// shared is the state that the first shard holds for the whole cluster, beside its tree. All are
// immutable and never nil; in the stores of other shards there are no users.
type shared struct {
	members *tree.Membership
	auth    *auth.State
	mirror  *mirror.State
}

func loadShared(from pebble.Reader) (s shared, err error) {
	if s.members, err = loadMembership(from); err == nil {
		s.auth, err = loadAuth(from)
	}
	if err == nil {
		s.mirror, err = loadMirror(from)
	}
	return s, err
}

// publishedShared is shared as any goroutine may read it.
type publishedShared struct {
	members signaled[tree.Membership]
	auth    signaled[auth.State]
	mirror  signaled[mirror.State]
}

func newPublishedShared() publishedShared {
	return publishedShared{
		members: signaled[tree.Membership]{changed: make(chan struct{}, 1)},
		auth:    signaled[auth.State]{changed: make(chan struct{}, 1)},
		mirror:  signaled[mirror.State]{changed: make(chan struct{}, 1)},
	}
}

func (p *publishedShared) load() shared {
	return shared{p.members.now.Load(), p.auth.now.Load(), p.mirror.now.Load()}
}

func (p *publishedShared) set(next shared) {
	p.members.set(next.members)
	p.auth.set(next.auth)
	p.mirror.set(next.mirror)
}

// signaled is an immutable value that is replaced at times.
type signaled[T any] struct {
	now     atomic.Pointer[T]
	changed chan struct{} // capacity 1
}

// set publishes next, and signals if it is a different one.
func (s *signaled[T]) set(next *T) {
	if s.now.Swap(next) != next {
		select {
		case s.changed <- struct{}{}:
		default: // a signal is pending already
		}
	}
}
