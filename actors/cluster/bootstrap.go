package cluster

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

// Bootstrap describes a member whose data directory is empty, and the cluster that the
// settings name.
type Bootstrap struct {
	// Wanted is the member's identity if it founds a cluster.
	Wanted datadir.Identity
	// Founders are the founding members, this one among them.
	Founders []tree.Member
	// PeerURLs are this member's, by which the others know it.
	PeerURLs []string
	// Existing: the cluster is running, and this member was added to it.
	Existing bool
	// Shards is the number of data shards in the settings; 0 accepts that of a running
	// cluster.
	Shards int
	Peers  Peers
	Logger *slog.Logger
}

// ErrStartedBefore is the cause if a member would start a second time without data:
// what it acknowledged the first time would be lost.
var ErrStartedBefore = errors.New("this member has been part of the cluster before, and its data is gone")

// contradiction is an error of the settings, which no restart mends.
type contradiction struct{ error }

func (contradiction) Is(target error) bool { return target == datadir.ErrContradicted }

var errUnlisted = errors.New("no member has these peer URLs")

const (
	askPause      = 500 * time.Millisecond // between two rounds of questions
	unlistedLimit = 10 * time.Second       // for members that don't list this one: they may lag
	warnPause     = 5 * time.Second        // between two warnings that nobody answers
)

// Identify finds out which cluster a fresh member belongs to. It returns the member's
// identity there and the members it has learned of. A member that joins keeps asking
// until somebody answers or ctx ends.
func Identify(ctx context.Context, b Bootstrap) (datadir.Identity, []tree.Member, error) {
	if b.Existing {
		return b.join(ctx)
	}
	return b.found(ctx)
}

// found makes sure that the cluster isn't already running with this member in it.
// Members that don't answer either haven't started yet, or are no majority.
func (b Bootstrap) found(ctx context.Context) (datadir.Identity, []tree.Member, error) {
	notes, _ := b.Peers.notes(ctx) // a founder expects silence
	for _, note := range notes {
		if note.ClusterID != b.Wanted.ClusterID {
			return datadir.Identity{}, nil, contradiction{fmt.Errorf("a member in --initial-cluster belongs to the cluster %x, but these settings describe %x: do --initial-cluster and --initial-cluster-token agree everywhere? To join it, add this member there and start with --initial-cluster-state=existing", note.ClusterID, b.Wanted.ClusterID)}
		}
		if note.Shards != b.Wanted.Shards {
			return datadir.Identity{}, nil, fmt.Errorf("%w: this member founds a cluster with --shards=%d, another one with %d: give all of them the same number", ErrShards, b.Wanted.Shards, note.Shards)
		}
		if err := refuseSecondStart(note, b.Wanted.MemberID); err != nil {
			return datadir.Identity{}, nil, err
		}
	}
	return b.Wanted, b.Founders, nil
}

// RefuseSecondStart returns ErrStartedBefore if a member of id's cluster and generation
// remembers that this one has served, or was removed: its data then isn't what it was, though
// it was just restored.
func RefuseSecondStart(ctx context.Context, peers Peers, id datadir.Identity) error {
	notes, _ := peers.notes(ctx) // who doesn't answer isn't waited for, as when a cluster is founded
	for _, note := range notes {
		if note.ClusterID != id.ClusterID || note.Generation != id.Generation {
			continue
		}
		if err := refuseSecondStart(note, id.MemberID); err != nil {
			return err
		}
	}
	return nil
}

func refuseSecondStart(note Note, id uint64) error {
	started := slices.ContainsFunc(note.Members, func(m tree.Member) bool { return m.ID == id && m.Name != "" })
	if slices.Contains(note.Removed, id) {
		return fmt.Errorf("member %x was removed from the cluster, for good; add it anew (POST /v2/members) and start it with --initial-cluster-state=existing: %w", id, ErrStartedBefore)
	}
	if started {
		return fmt.Errorf("member %x: %w; remove it (DELETE /v2/members/%x), add it anew (POST /v2/members) and start it with --initial-cluster-state=existing", id, ErrStartedBefore, id)
	}
	return nil
}

// join finds this member in the running cluster, by its peer URLs.
func (b Bootstrap) join(ctx context.Context) (datadir.Identity, []tree.Member, error) {
	if len(b.Peers.URLs) == 0 {
		return datadir.Identity{}, nil, contradiction{errors.New("--initial-cluster-state is existing, but --initial-cluster names no other member to ask")}
	}
	warned := time.Now()
	var since time.Time // since when those that answer don't list this member; zero: they do, or none answers
	for {
		notes, silent := b.Peers.notes(ctx)
		var unlisted error
		for _, note := range notes {
			id, members, err := b.adopt(note)
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
		if time.Since(warned) > warnPause {
			warned = time.Now()
			b.Logger.Warn("waiting for a member of the cluster to answer", "component", "peers", "asked", strings.Join(b.Peers.URLs, ", "), "err", errors.Join(unlisted, silent))
		}
		select {
		case <-time.After(askPause):
		case <-ctx.Done():
			return datadir.Identity{}, nil, ctx.Err()
		}
	}
}

// adopt returns the identity that this member has according to a running member.
func (b Bootstrap) adopt(note Note) (datadir.Identity, []tree.Member, error) {
	if !note.Founded {
		return datadir.Identity{}, nil, fmt.Errorf("the cluster has not been founded yet: %w", errUnlisted)
	}
	own := slices.Sorted(slices.Values(b.PeerURLs))
	for _, m := range note.Members {
		if !slices.Equal(slices.Sorted(slices.Values(m.PeerURLs)), own) {
			continue
		}
		if m.Name != "" {
			return datadir.Identity{}, nil, fmt.Errorf("member %x at %s: %w; remove it (DELETE /v2/members/%x), add it anew (POST /v2/members) and start it again", m.ID, strings.Join(b.PeerURLs, ","), ErrStartedBefore, m.ID)
		}
		if b.Shards != 0 && b.Shards != note.Shards {
			return datadir.Identity{}, nil, fmt.Errorf("%w: --shards is %d, but the cluster was founded with %d: leave the flag out", ErrShards, b.Shards, note.Shards)
		}
		id := b.Wanted
		id.ClusterID, id.Generation, id.MemberID = note.ClusterID, note.Generation, m.ID
		id.Token, id.Shards = note.Token, note.Shards
		id.Joined, id.Learning = true, true
		return id, note.Members, nil
	}
	return datadir.Identity{}, nil, fmt.Errorf("%w: %s; add this member first: POST /v2/members with {\"peerURLs\":[\"%s\"]} to a running one", errUnlisted, strings.Join(b.PeerURLs, ","), strings.Join(b.PeerURLs, `","`))
}
