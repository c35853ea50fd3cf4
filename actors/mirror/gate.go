package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"copse/actors/source"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"
)

var (
	errOverloaded = errors.New("etcdserver: too many requests")
	errFilling    = errors.New("the mirror is reading the whole of its source")
	errPromoted   = errors.New("the mirror was promoted meanwhile: whether the source has carried this out is not known here")
	errHeld       = errors.New("the mirror is being promoted")
	errBehind     = errors.New("the source has answered, but the mirror has not caught up with it in time")
)

// Store is this member's replica.
type Store interface {
	Index() tree.Index
	Mirror() *mirror.State
	// Walk visits all nodes, hidden ones too, of one moment, and returns the index then.
	Walk(visit func(*tree.Node) error) (tree.Index, error)
}

// Gate passes on writes and quorum reads, which the source has to decide. Its methods may be called concurrently.
type Gate struct {
	store     Store
	source    *source.Client
	clusterID uint64 // the source's
	propose   func(*tree.Command) tree.Reply
	timeout   time.Duration

	room   room
	flight atomic.Int64 // requests that the source has not answered yet
	passed passed
	bell   func() // wakes this member's follower

	mu      sync.Mutex
	applied chan struct{} // closed when something is applied; nil: nobody waits
}

// NewGate returns the gate of a member. propose has a command carried out, by the log; clusterID is the source's.
func NewGate(store Store, from *source.Client, clusterID uint64, propose func(*tree.Command) tree.Reply, timeout time.Duration) *Gate {
	return &Gate{store: store, source: from, clusterID: clusterID, propose: propose, timeout: timeout, room: newRoom(), bell: func() {}}
}

// Applied tells that the replica has applied something.
func (g *Gate) Applied() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.applied != nil {
		close(g.applied)
		g.applied = nil
	}
}

func (g *Gate) waiting() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.applied == nil {
		g.applied = make(chan struct{})
	}
	return g.applied
}

// await waits until the replica is such that ready returns true.
func (g *Gate) await(ctx context.Context, ready func() bool) error {
	for {
		changed := g.waiting()
		if ready() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter waits while writes are held. own reports that the cluster isn't a mirror any more.
func (g *Gate) enter(ctx context.Context) (own bool, err error) {
	for {
		var s *mirror.State
		err := g.await(ctx, func() bool { s = g.store.Mirror(); return !s.On || s.Hold == 0 })
		if err != nil || !s.On {
			if err != nil {
				return false, errHeld
			}
			return true, nil
		}
		g.flight.Add(1)
		if s := g.store.Mirror(); s.On && s.Hold == 0 { // after it is counted: see Passed
			return false, nil
		}
		g.flight.Add(-1)
	}
}

// Do passes on a write. own reports that the cluster isn't a mirror any more, and has to carry it out itself.
func (g *Gate) Do(c *tree.Command, authorization string) (reply tree.Reply, own bool) {
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	if !g.room.writes.take() {
		return unavailable(errOverloaded), false
	}
	defer g.room.writes.free()
	own, err := g.enter(ctx)
	if own || err != nil {
		return unavailable(err), own
	}
	before := g.store.Index()
	a, err := g.source.Do(ctx, c, authorization)
	if err == nil {
		err = g.plausible(a, before, 1)
	}
	if err == nil && a.Err == nil {
		g.passed.add(a.Index)
	}
	g.flight.Add(-1)
	if err != nil {
		return unavailable(err), false
	}
	g.bell()
	if a.Err != nil {
		if _, err := g.caughtUp(ctx, a.Index); err != nil {
			return unavailable(errBehind), false
		}
		return tree.Reply{Err: a.Err}, false
	}
	reply, err = g.reply(ctx, c, a)
	if err != nil {
		return unavailable(err), false
	}
	return reply, false
}

// plausible returns an error if the answer isn't from the source that the mirror has followed up to the
// index before it asked: it is another cluster, or was restored from a backup, and the mirror would take
// its changes for ones that it has already. least is by how much the index has to be higher.
func (g *Gate) plausible(a source.Answer, before, least tree.Index) error {
	if err := sameCluster(a.Position, g.clusterID); err != nil {
		return err
	}
	at := a.Index
	if a.Err != nil {
		if at, least = a.Err.Index, 0; at == 0 {
			return nil // it was refused before it came to the tree
		}
	}
	if at < before+least {
		return fmt.Errorf("%w: it answers at %d, and the mirror is at %d", errWentBack, at, before)
	}
	return nil
}

func unavailable(err error) tree.Reply {
	if err == nil {
		return tree.Reply{}
	}
	return tree.Reply{Err: tree.Unavailable(err)}
}

// reply returns the source's answer once this member has applied the change in it.
func (g *Gate) reply(ctx context.Context, c *tree.Command, a source.Answer) (r tree.Reply, err error) {
	e, err := source.ReadEvent(a.Body)
	if err != nil {
		return r, err
	}
	if c.Refresh && e.Action != tree.ActionCreate && c.Op != tree.OpCreateInOrder {
		err = g.refreshed(ctx, e)
	}
	at := max(a.Index, e.Index())
	if err == nil {
		err = g.known(ctx, at)
	}
	if err != nil {
		return r, err
	}
	return tree.Reply{JSON: a.Body, Action: e.Action, Created: a.Created, State: tree.State{Index: at}}, nil
}

// refreshed proposes a refresh, of which the source tells nobody else.
func (g *Gate) refreshed(ctx context.Context, e *tree.Event) error {
	e.Refresh = true
	for {
		if err := g.await(ctx, func() bool { s := g.store.Mirror(); return !s.On || s.Fill == 0 && g.store.Index()+1 >= e.Index() }); err != nil {
			return errBehind
		}
		if !g.store.Mirror().On {
			return nil // known reports it
		}
		r := g.propose(command(&mirror.Change{Kind: mirror.Refresh, Events: []tree.Event{*e}}))
		if r.Err == nil {
			return nil
		}
		select {
		case <-time.After(pollPause):
		case <-ctx.Done():
			return errBehind
		}
	}
}

func command(c *mirror.Change) *tree.Command {
	return &tree.Command{Op: tree.OpMirror, Key: "/", Value: c.Append(nil)}
}

// known waits until this member has the source's index, and reports an error if it may never have it.
func (g *Gate) known(ctx context.Context, at tree.Index) error {
	s, err := g.caughtUp(ctx, at)
	switch {
	case err != nil:
		return errBehind
	case !s.On && at > s.Ended:
		return errPromoted
	}
	return nil
}

// caughtUp waits until this member has the index, or follows no more.
func (g *Gate) caughtUp(ctx context.Context, at tree.Index) (s *mirror.State, err error) {
	err = g.await(ctx, func() bool {
		have := g.store.Index()
		s = g.store.Mirror() // after the index, which jumps when the mirror ends
		return !s.On || s.Fill == 0 && have >= at
	})
	return s, err
}

// Get passes on a quorum read; own as in Do.
func (g *Gate) Get(dst []byte, q *tree.Query, authorization string) (out []byte, rest tree.Rest, at tree.Index, failed *tree.Error, own bool) {
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	if err := g.room.turn(ctx); err != nil {
		return dst, nil, 0, tree.Unavailable(err), false
	}
	defer func() {
		if rest == nil {
			g.room.reads.free()
		} else {
			rest = &heldRest{Rest: rest, free: sync.OnceFunc(g.room.reads.free)}
		}
	}()
	own, err := g.enter(ctx)
	if own || err != nil {
		return dst, nil, 0, unavailable(err).Err, own
	}
	before := g.store.Index()
	a, rest, err := g.source.Get(q, g.timeout, authorization)
	g.flight.Add(-1)
	if err == nil {
		if err = g.plausible(a, before, 0); err != nil && rest != nil {
			rest.Close()
		}
	}
	if err != nil { // all returns but the last have no rest
		return dst, nil, 0, tree.Unavailable(err), false
	}
	g.bell()
	s, err := g.caughtUp(ctx, a.Index)
	if err == nil && a.Err != nil {
		return dst, nil, 0, a.Err, false
	}
	if (err != nil || !s.On) && rest != nil {
		rest.Close()
	}
	if err != nil {
		return dst, nil, 0, tree.Unavailable(errBehind), false
	}
	if !s.On {
		return dst, nil, 0, nil, true
	}
	return append(dst, a.Body...), rest, a.Index, nil, false
}

// Refusal says why nothing can be read now; nil: it can.
func (g *Gate) Refusal(s *mirror.State) *tree.Error {
	if s.On && s.Fill != 0 {
		return tree.Unavailable(errFilling)
	}
	return nil
}
