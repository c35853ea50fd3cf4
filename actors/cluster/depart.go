package cluster

import (
	"context"
	"errors"
	"time"

	"copse/actors/datadir"
)

// checkSilence finds out why no leader is known: this member may have been removed, or
// its cluster started anew, while it was away.
func (a *Membership) checkSilence() error {
	now := time.Now()
	if a.silentSince.IsZero() {
		a.silentSince = now
	}
	if now.Sub(a.silentSince) < 2*a.o.Election {
		return nil
	}
	a.silentSince = now
	err := a.o.Refused(context.Background())
	if errors.Is(err, ErrRemoved) {
		if fail := a.markRemoved(); fail != nil {
			return fail
		}
	}
	return err
}

func (a *Membership) markRemoved() error {
	return a.o.Dir.Amend(func(id *datadir.Identity) { id.Removed = true })
}

// departLimit bounds how long a removed member waits until the others have removed its
// replicas: they may need its vote for that.
const departLimit = 30 * time.Second

// depart ends this member's part in the cluster.
func (a *Membership) depart() error {
	if err := a.markRemoved(); err != nil {
		return err
	}
	a.log.Warn("this member was removed from the cluster; it stops as soon as the others have removed its replicas")
	late := time.NewTimer(departLimit)
	defer late.Stop()
	for {
		if a.departed() || a.o.Refused(context.Background()) != nil {
			return ErrRemoved
		}
		select {
		case <-time.After(busyPause):
		case <-a.raft.Changed():
		case <-late.C:
			return ErrRemoved
		case <-a.life.Stopping():
			return nil
		}
	}
}

// departed transfers the leaderships this member still has, and reports whether all of
// its replicas have been removed.
func (a *Membership) departed() bool {
	left := 0
	for shard := uint64(1); shard <= uint64(a.o.Shards); shard++ {
		if a.raft.Removed(shard) {
			continue
		}
		left++
		if !a.leads(shard) {
			continue
		}
		if _, err := a.reconcile(shard); err != nil {
			a.log.Debug("transferring leadership failed; trying again", "shard", shard, "err", err)
		}
	}
	return left == 0
}

// stepOut ends this member's part in the cluster, because its data is wrong, and sees to
// it that no later start takes part again. The process goes on, so that operators see
// why, until the member is removed.
func (a *Membership) stepOut(why string) error {
	a.o.EndWatches()
	if a.o.Dir.Identity.Differs != "" {
		return a.checkSilence()
	}
	return errors.Join(a.raft.StopReplicas(), a.o.Dir.Amend(func(id *datadir.Identity) { id.Differs = why }))
}
