package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"copse/actors/loop"
	"copse/actors/source"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"
)

// The pace of a follower.
const (
	// pollPause is between two questions whether the source has gone on. It never waits at the
	// source, for a watch that waits isn't told of hidden nodes.
	pollPause = 20 * time.Millisecond
	// gapPatience is how long to wait for an event of the past after the head of a watch. If none
	// comes, the index is taken for one without an event: a refresh, or a change of members.
	gapPatience = 200 * time.Millisecond
	failPause   = 200 * time.Millisecond
	askLimit    = 5 * time.Second // for one question
	readLimit   = 10 * time.Minute
	peersPause  = time.Second
	// comparePause is between two comparisons of everything.
	comparePause = 10 * time.Minute
	compareAgain = time.Minute // after one that didn't succeed
	authPause    = time.Second
	ledPause     = 5 * time.Second
	// behindPatience is how long a member of the source may lag behind the others.
	behindPatience = 5 * time.Second

	batchEvents = 256
	batchBytes  = 1 << 20
	// verifyBehind is how far back from the tree's index Next asks: the source keeps 1,000 events.
	verifyBehind = 500
)

// Peer is another member's part in the mirror.
type Peer struct {
	Member uint64
	// Passed asks what has passed through the member.
	Passed func(ctx context.Context, from uint64) (Passed, error)
}

// Options configure a Follower.
type Options struct {
	Store     Store
	Changed   <-chan struct{} // rings when Store.Mirror may have changed
	Source    *source.Client
	ClusterID uint64 // the source's
	Propose   func(*tree.Command) tree.Reply
	Leads     func() bool // whether this member's follower has to work
	Gate      *Gate       // of this member
	Peers     func() []Peer
	Log       *slog.Logger
}

// Follower is the actor that follows the source, on the member that leads.
type Follower struct {
	o       Options
	life    loop.Life
	ctx     context.Context // ends with Stop
	cancel  context.CancelFunc
	bell    loop.Bell
	asks    loop.Mailbox[ask]
	seen    status
	foreign foreign

	course // owned by the loop
}

// course is the follower's memory from one turn to the next.
type course struct {
	leading   bool
	file      string      // a file that exists at the source, as far as is known: "/" if none is
	verified  tree.Index  // Next has shown all events up to here
	behind    time.Time   // since when the source's index has been below the tree's; zero: it isn't
	last      *tree.Event // the last one that it has told of; nil: none yet
	authAsked time.Time
	ledAsked  time.Time
	peers     time.Time // when they were asked last
	compared  time.Time
}

// NewFollower returns the follower of a member.
func NewFollower(o Options) *Follower {
	f := &Follower{o: o, life: loop.NewLife(), bell: loop.NewBell(), course: course{file: "/"}}
	f.asks = loop.NewMailbox[ask](8, f.life.Stopping())
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.foreign.forget()
	o.Gate.bell = f.bell.Ring
	return f
}

// Stop ends the loop and waits for it.
func (f *Follower) Stop() {
	f.cancel()
	f.life.Halt()
}

// Run is the actor's loop. It sleeps while the cluster is no mirror.
func (f *Follower) Run() error {
	if !f.life.Begin() {
		return nil
	}
	defer f.life.End()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-f.life.Stopping():
			return nil
		case <-pause.C:
		case <-f.bell:
		case <-f.o.Changed:
		case a := <-f.asks.Messages():
			a.answer <- f.promote(f.ctx, a)
		}
		pause.Reset(f.turn(f.ctx))
	}
}

// turn does what there is to do, and returns how long to sleep.
func (f *Follower) turn(ctx context.Context) time.Duration {
	s := f.o.Store.Mirror()
	if !s.On {
		return time.Minute
	}
	if !f.o.Leads() {
		if f.leading {
			f.leading = false
			f.foreign.forget()
		}
		return failPause
	}
	if !f.leading {
		f.course = course{leading: true, file: "/", verified: f.o.Store.Index(), compared: time.Now()}
		f.foreign.forget()
		f.o.Log.Info("this member follows the source", "sources", s.Sources, "index", f.o.Store.Index())
	}
	err := f.step(ctx, s)
	if f.seen.note(err); err != nil {
		if ctx.Err() == nil && f.seen.worthALine(err) {
			f.o.Log.Warn("following the source failed; trying again", "err", err)
		}
		return failPause
	}
	return pollPause
}

// step brings the mirror to where the source is.
func (f *Follower) step(ctx context.Context, s *mirror.State) error {
	if s.Hold != 0 { // a promotion that nobody carries on
		if err := f.change(&mirror.Change{Kind: mirror.Resume, ID: s.Hold}); err != nil {
			return err
		}
	}
	if err := f.refuseAuth(ctx); err != nil {
		return err
	}
	if s.Fill != 0 {
		return f.readAll(ctx, true)
	}
	f.askPeers(ctx)
	f.leaveLeaderless(ctx)
	err := f.drain(ctx)
	if err == nil && time.Since(f.compared) > comparePause {
		f.compared = time.Now().Add(compareAgain - comparePause)
		err = f.readAll(ctx, false)
	}
	if errors.Is(err, source.ErrCleared) {
		f.o.Log.Warn("events were missed; reading the whole source anew", "err", err, "index", f.o.Store.Index())
		err = f.readAll(ctx, true)
	}
	return err
}

// refuseAuth returns an error while the source has auth enabled: the mirror would show to everybody
// what the source doesn't.
func (f *Follower) refuseAuth(ctx context.Context) error {
	if time.Since(f.authAsked) < authPause {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	enabled, err := f.o.Source.AuthEnabled(ctx)
	if err == nil && enabled {
		err = source.ErrUnauthorized
	}
	if err == nil {
		f.authAsked = time.Now()
	}
	return err
}

// leaveLeaderless goes on with another member of the source if the present one has no leader: cut off
// from the others it would show what was, and no sign of lagging. If none has one, the next in turn will do.
func (f *Follower) leaveLeaderless(ctx context.Context) {
	if time.Since(f.ledAsked) < ledPause {
		return
	}
	f.ledAsked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if led, err := f.o.Source.Led(ctx); err == nil && !led {
		f.o.Log.Warn("a member of the source has no leader; going on with another")
	}
}

// position asks the source how far it is.
func (f *Follower) position(ctx context.Context) (source.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	at, err := f.o.Source.At(ctx, f.file)
	if err == nil {
		err = f.check(at)
	}
	if err == nil && at.Term == 0 {
		f.file = "/" // it is gone
	}
	return at, err
}

func (f *Follower) check(at source.Position) error { return sameCluster(at, f.o.ClusterID) }

func sameCluster(at source.Position, id uint64) error {
	if at.ClusterID != id {
		return fmt.Errorf("the source is the cluster %x now, and this one mirrors %x", at.ClusterID, id)
	}
	return nil
}

// drain takes over all events up to where the source is.
func (f *Follower) drain(ctx context.Context) error {
	had := f.o.Store.Index() // before the question: a refresh may come through a gate meanwhile
	at, err := f.position(ctx)
	if err == nil {
		f.seen.source(at.Index, f.o.Store.Index())
		err = f.drainTo(ctx, at, had)
	}
	return err
}

// drainTo takes over all events up to a position of the source's, and none behind it. The mirror was at the index
// had when the source was asked.
func (f *Follower) drainTo(ctx context.Context, at source.Position, had tree.Index) error {
	if err := f.wentBack(ctx, at.Index, had); err != nil {
		return err
	}
	for {
		last := f.o.Store.Index()
		if last >= at.Index {
			f.seen.source(at.Index, last)
			if at.Term <= f.o.Store.Mirror().Term {
				return nil
			}
			return f.change(&mirror.Change{Kind: mirror.Follow, From: last, To: last, Term: at.Term})
		}
		c, err := f.gather(ctx, last, at)
		if c.To > last {
			err = errors.Join(f.change(&c), err)
		}
		if err != nil || c.To == last {
			return err
		}
	}
}

// gather reads a batch of events behind last, up to a position.
func (f *Follower) gather(ctx context.Context, last tree.Index, at source.Position) (c mirror.Change, err error) {
	c = mirror.Change{Kind: mirror.Follow, From: last, To: last, Term: at.Term}
	size := 0
	for c.To < at.Index && len(c.Events) < batchEvents && size < batchBytes {
		// Ask again for what was taken for a gap, to be sure that nothing was in it.
		f.verified = max(f.verified, c.To-min(c.To, verifyBehind))
		e, here, err := f.next(ctx, f.verified+1)
		if err != nil {
			return c, err
		}
		c.Term = max(c.Term, here.Term)
		switch {
		case e == nil && here.Index <= c.To: // a member that lags
			return c, nil
		case e == nil:
			c.To = min(here.Index, at.Index)
		case e.Index() <= c.To:
			return c, fmt.Errorf("%w: %d came late", source.ErrCleared, e.Index())
		case e.Index() > at.Index:
			f.verified, c.To = at.Index, at.Index
		default:
			f.verified, c.To = e.Index(), e.Index()
			c.Events = append(c.Events, *e)
			size += 2*len(e.Node.Value) + len(e.Prev.Value) + len(e.Node.Key) + 100
			f.last = e
			f.note(e)
		}
	}
	return c, nil
}

func (f *Follower) next(ctx context.Context, from tree.Index) (*tree.Event, source.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	e, at, err := f.o.Source.Next(ctx, from, gapPatience)
	if err == nil {
		err = f.check(at)
	}
	return e, at, err
}

// note remembers a file that exists, for position, and the change, to find out whether it came through the mirror.
func (f *Follower) note(e *tree.Event) {
	if !e.Action.Removes() && !e.Node.Dir {
		f.file = e.Node.Key
	} else if e.Node.Key == f.file || tree.Within(e.Node.Key, f.file) {
		f.file = "/"
	}
	f.foreign.event(e)
}

// change proposes c, and waits until it is applied here.
func (f *Follower) change(c *mirror.Change) error {
	if r := f.o.Propose(command(c)); r.Err != nil {
		return fmt.Errorf("take over the source's changes: %s", r.Err.Cause)
	}
	return nil
}

// number draws the number of a read or a promotion.
func number() uint64 { return max(2, rand.Uint64()) }
