package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"copse/actors/source"
	"copse/statemachine/tree"
)

// errWentBack is the error of a source that is further back than any of its members would lag.
var errWentBack = errors.New("the source has gone back, as after a restore from a backup")

// wentBack reports that the source has been behind the mirror for longer than one of its members may lag. Once it
// has come past the mirror again, by events that may be others, everything has to be read.
func (f *Follower) wentBack(ctx context.Context, at, last tree.Index) error {
	long := !f.behind.IsZero() && time.Since(f.behind) > behindPatience
	switch {
	case at >= last && long:
		return fmt.Errorf("%w: the source had gone back", source.ErrCleared)
	case at >= last && !f.behind.IsZero():
		err := f.tellsTheSame(ctx)
		if err == nil {
			f.behind = time.Time{}
		}
		return err
	case at >= last:
	case f.behind.IsZero():
		f.behind = time.Now()
	case long:
		return fmt.Errorf("%w: it is at %d, and the mirror at %d", errWentBack, at, last)
	}
	return nil
}

// errUnsure: it may be late, or gone.
var errUnsure = errors.New("the source doesn't show again what it has told of last")

// tellsTheSame asks the source, which has been behind the mirror, for the last event once more. If it is another
// one now, a backup was restored, and has grown past the mirror within the patience.
func (f *Follower) tellsTheSame(ctx context.Context) error {
	if f.last == nil {
		return nil
	}
	e, _, err := f.next(ctx, f.last.Index())
	switch {
	case err != nil:
		return err
	case e == nil:
		return errUnsure
	case e.Index() != f.last.Index() || e.Action != f.last.Action || e.Node.Key != f.last.Node.Key || !bytes.Equal(e.Node.Value, f.last.Node.Value):
		return fmt.Errorf("%w: the source had gone back, and tells of another event at %d", source.ErrCleared, f.last.Index())
	}
	return nil
}
