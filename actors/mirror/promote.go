package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"copse/actors/loop"
	"copse/actors/source"
	"copse/statemachine/mirror"
	"copse/statemachine/tree"
)

// endLimit is how long the end takes at most after the time of the hold: two proposals.
const endLimit = 15 * time.Second

// unseenTerms is by how much the shown term grows: more than there can be elections at the source
// that nobody here has heard of.
const unseenTerms = 1000

// Promotion is what an operator asks for.
type Promotion struct {
	Force  bool          // although clients still write to the source
	Limit  time.Duration // of the hold
	Margin tree.Index    // by which the index grows, so that stragglers at the source don't repeat one
}

// Promoted is the outcome of a promotion.
type Promoted struct {
	At        tree.Index `json:"sourceIndex"` // F
	Index     tree.Index `json:"index"`
	Corrected uint64     `json:"corrected"` // nodes that the last read found different
	HeldMs    int64      `json:"heldMs"`
}

type ask struct {
	p      Promotion
	by     time.Time // until when the asker waits; zero: for ever
	gone   <-chan struct{}
	answer chan<- outcome
}

// abandoned returns an error if the asker won't wait that long for the outcome.
func (a *ask) abandoned(takes time.Duration) error {
	select {
	case <-a.gone:
		return errAbandoned
	default:
	}
	if !a.by.IsZero() && time.Until(a.by) < takes {
		return errAbandoned
	}
	return nil
}

type outcome struct {
	done Promoted
	err  error
}

var (
	errNoMirror  = errors.New("this cluster is no mirror")
	errNotLeader = errors.New("this member doesn't lead; ask again")
	errAbandoned = errors.New("not promoted: the request would have timed out before the answer; ask again")
)

// Promote ends the mirror, on the member that leads.
func (f *Follower) Promote(ctx context.Context, p Promotion) (Promoted, error) {
	answer := make(chan outcome, 1)
	by, _ := ctx.Deadline()
	if err := f.asks.Send(ctx, ask{p, by, ctx.Done(), answer}); err != nil {
		return Promoted{}, err
	}
	select {
	case o := <-answer:
		return o.done, o.err
	case <-f.life.Done():
		return Promoted{}, loop.ErrStopped
	case <-ctx.Done():
		return Promoted{}, ctx.Err()
	}
}

func (f *Follower) promote(ctx context.Context, a ask) outcome {
	s := f.o.Store.Mirror()
	if err := a.abandoned(0); err != nil { // while this was busy
		return outcome{err: err}
	}
	switch {
	case !s.On:
		return outcome{err: errNoMirror}
	case !f.o.Leads():
		return outcome{err: errNotLeader}
	}
	if err := f.mayPromote(ctx, s, a.p); err != nil {
		return outcome{err: fmt.Errorf("refused: %w", err)}
	}
	if err := a.abandoned(a.p.Limit + endLimit); err != nil {
		return outcome{err: err}
	}
	began, id := time.Now(), number()
	limited, cancel := context.WithTimeout(ctx, a.p.Limit)
	defer cancel()
	done, err := f.cut(limited, id, a.p)
	done.HeldMs = time.Since(began).Milliseconds()
	if err != nil {
		var resume error
		if f.o.Store.Mirror().On {
			resume = f.change(&mirror.Change{Kind: mirror.Resume, ID: id})
		}
		switch on := f.o.Store.Mirror().On; { // the end may have come after its time-out
		case on && resume != nil:
			return outcome{done, fmt.Errorf("whether it is promoted isn't known before there is a leader, and writes are held until then: %w; %w", err, resume)}
		case on:
			return outcome{done, fmt.Errorf("not promoted, and a mirror as before: %w", err)}
		}
	}
	f.o.Log.Info("promoted: this cluster takes writes itself now", "source_index", done.At, "index", done.Index, "corrected", done.Corrected, "held", time.Since(began))
	return outcome{done: done}
}

// mayPromote refuses what would lose something.
func (f *Follower) mayPromote(ctx context.Context, s *mirror.State, p Promotion) error {
	if err := f.step(ctx, s); err != nil {
		return fmt.Errorf("the mirror doesn't follow: %w", err)
	}
	if s := f.o.Store.Mirror(); s.Fill != 0 {
		return errFilling
	}
	f.askAll(ctx)
	f.foreign.settle(time.Now().Add(-settleAfter))
	if p.Force {
		return nil
	}
	if err := f.sameTime(ctx); err != nil {
		return err
	}
	if keys := f.foreign.recent(time.Now().Add(-foreignRecent)); len(keys) > 0 {
		return fmt.Errorf("clients have written to the source, and not through the mirror, within the last %v: %s. What they go on writing there will be lost; move them first, or give --despite-writers",
			foreignRecent, strings.Join(keys[:min(len(keys), 10)], " "))
	}
	return nil
}

// clockSlack is how far the clocks may be apart.
const clockSlack = time.Second

// sameTime returns an error if this member's clock isn't the source's: what expires was told in the source's
// time, so that locks would end too early, or too late.
func (f *Follower) sameTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	before := time.Now()
	theirs, err := f.o.Source.Date(ctx)
	if err != nil {
		return err
	}
	if ahead := before.Sub(theirs.Add(time.Second)); ahead > clockSlack {
		err = fmt.Errorf("this member's clock is at least %v ahead of the source's", ahead)
	} else if behind := time.Until(theirs); behind > clockSlack {
		err = fmt.Errorf("this member's clock is at least %v behind the source's", behind)
	}
	if err != nil {
		err = fmt.Errorf("%w, and keys with a TTL would expire at the wrong time: set the clocks, or give --despite-writers", err)
	}
	return err
}

// cut holds the writes, reads everything once more, and ends the mirror at an index that the source has
// not moved from since.
func (f *Follower) cut(ctx context.Context, id uint64, p Promotion) (done Promoted, err error) {
	if err := f.change(&mirror.Change{Kind: mirror.Hold, ID: id}); err != nil {
		return done, err
	}
	f.rest(ctx, id)
	for {
		at, err := f.compare(ctx, false)
		if err != nil {
			return done, err
		}
		done.Corrected = f.o.Store.Mirror().Corrected
		now, err := f.position(ctx)
		if err != nil {
			return done, err
		}
		if now.Index == at.Index && f.o.Store.Index() == at.Index {
			return f.end(id, at, now, p, done)
		}
		if ctx.Err() != nil {
			return done, fmt.Errorf("the source moves on, from %d to %d: %w", at.Index, now.Index, ctx.Err())
		}
	}
}

func (f *Follower) end(id uint64, at, now source.Position, p Promotion, done Promoted) (Promoted, error) {
	term := max(at.Term, now.Term, f.o.Store.Mirror().Term)
	done.At, done.Index = at.Index, at.Index+p.Margin
	err := f.change(&mirror.Change{Kind: mirror.Promote, ID: id, From: at.Index, To: done.Index, Term: term + unseenTerms})
	return done, err
}

// rest waits, for a part of the time that is left, until the members that can be asked hold their
// writes and have the answers to those that were under way. Whatever other members still send is either in
// the last read or never acknowledged.
func (f *Follower) rest(ctx context.Context, id uint64) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if !slices.ContainsFunc(f.askAll(ctx), func(p Passed) bool { return p.Hold != id || p.Flight > 0 }) {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
