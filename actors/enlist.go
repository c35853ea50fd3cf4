package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"copse/actors/datadir"
	"copse/statemachine/tree"
)

// Fresh is a member whose data directory is empty, on its way to a cluster.
type Fresh struct {
	// Wanted is the identity of a founder, as the settings have it.
	Wanted datadir.Identity
	// Founders are the founding members, this one among them.
	Founders []tree.Member
	// PeerURLs are this member's, by which the others know it.
	PeerURLs []string
	// Existing: the cluster runs already, and this member was added to it.
	Existing bool
	// Shards is the number that the settings give; 0: they leave it to a cluster
	// that runs.
	Shards int
	Peers  Peers
	Logger *slog.Logger
}

// ErrStartedBefore is the cause where a member would start a second time with
// nothing: what it once acknowledged would be lost.
var ErrStartedBefore = errors.New("this member has been part of the cluster before, and its data is gone")

// askPause is how long a newcomer waits before it asks again, unlistedLimit how
// long it asks on while the members that answer don't know it: they may lag.
const (
	askPause      = 500 * time.Millisecond
	unlistedLimit = 10 * time.Second
	askNotice     = 5 * time.Second
)

// Enlist finds out which cluster a fresh member belongs to, and returns its
// identity there with the members it knows of. One that joins asks on until
// somebody answers, or ctx ends.
func Enlist(ctx context.Context, f Fresh) (datadir.Identity, []tree.Member, error) {
	if f.Existing {
		return f.join(ctx)
	}
	return f.found(ctx)
}

// found makes sure that the cluster isn't running already with this member in
// it. Who doesn't answer hasn't started either, or is no majority.
func (f Fresh) found(ctx context.Context) (datadir.Identity, []tree.Member, error) {
	notes, _ := f.Peers.notes(ctx) // silence is what a founder expects
	for _, note := range notes {
		if note.ClusterID != f.Wanted.ClusterID {
			return datadir.Identity{}, nil, fmt.Errorf("the member at --initial-cluster belongs to the cluster %x, these settings found %x: do --initial-cluster and --initial-cluster-token agree everywhere?", note.ClusterID, f.Wanted.ClusterID)
		}
		if note.Shards != f.Wanted.Shards {
			return datadir.Identity{}, nil, fmt.Errorf("%w: this member founds a cluster with --shards=%d, another one with %d: give all of them the same", errShards, f.Wanted.Shards, note.Shards)
		}
		if err := f.refuseSecondStart(note); err != nil {
			return datadir.Identity{}, nil, err
		}
	}
	id := f.Wanted
	return id, f.Founders, nil
}

func (f Fresh) refuseSecondStart(note clusterNote) error {
	id := f.Wanted.MemberID
	started := slices.ContainsFunc(note.Members, func(m tree.Member) bool { return m.ID == id && m.Name != "" })
	if started || slices.Contains(note.Removed, id) {
		return fmt.Errorf("member %x: %w; remove it (DELETE /v2/members/%x), add it anew (POST /v2/members) and start it with --initial-cluster-state=existing", id, ErrStartedBefore, id)
	}
	return nil
}

// join finds this member, by its peer URLs, among those of the running cluster.
func (f Fresh) join(ctx context.Context) (datadir.Identity, []tree.Member, error) {
	if len(f.Peers.URLs) == 0 {
		return datadir.Identity{}, nil, errors.New("--initial-cluster-state is existing, but --initial-cluster names no other member to ask")
	}
	noticed := time.Now()
	var since time.Time // the members that answer don't know this one
	for {
		notes, silent := f.Peers.notes(ctx)
		var unlisted error
		for _, note := range notes {
			id, members, err := f.adopt(note)
			if err == nil || !errors.Is(err, errUnlisted) {
				return id, members, err
			}
			unlisted = err
		}
		switch {
		case unlisted == nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > unlistedLimit:
			return datadir.Identity{}, nil, unlisted
		}
		if time.Since(noticed) > askNotice {
			noticed = time.Now()
			f.Logger.Warn("waiting for a member of the cluster to answer", "component", "peers", "asked", strings.Join(f.Peers.URLs, ", "), "err", firstError(unlisted, silent))
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return datadir.Identity{}, nil, ctx.Err()
		}
	}
}

// errShards is the cause where members don't agree on how many shards there are.
var errShards = errors.New("the number of shards can't change")

var errUnlisted = errors.New("no member has these peer URLs")

// adopt takes this member's identity from what a running member tells.
func (f Fresh) adopt(note clusterNote) (datadir.Identity, []tree.Member, error) {
	if !note.Founded {
		return datadir.Identity{}, nil, fmt.Errorf("the cluster has not been founded yet: %w", errUnlisted)
	}
	urls := strings.Join(f.PeerURLs, ",")
	for _, m := range note.Members {
		if !slices.Equal(slices.Sorted(slices.Values(m.PeerURLs)), slices.Sorted(slices.Values(f.PeerURLs))) {
			continue
		}
		if m.Name != "" {
			return datadir.Identity{}, nil, fmt.Errorf("member %x at %s: %w; remove it (DELETE /v2/members/%x), add it anew (POST /v2/members) and start it again", m.ID, urls, ErrStartedBefore, m.ID)
		}
		if f.Shards != 0 && f.Shards != note.Shards {
			return datadir.Identity{}, nil, fmt.Errorf("%w: --shards is %d, the cluster was founded with %d: leave it out", errShards, f.Shards, note.Shards)
		}
		id := f.Wanted
		id.ClusterID, id.Generation, id.MemberID = note.ClusterID, note.Generation, m.ID
		id.Token, id.Shards = note.Token, note.Shards
		id.Joined, id.Learning = true, true
		return id, note.Members, nil
	}
	return datadir.Identity{}, nil, fmt.Errorf("%w: %s; add this member first: POST /v2/members with {\"peerURLs\":[\"%s\"]} to a running one", errUnlisted, urls, strings.Join(f.PeerURLs, `","`))
}
