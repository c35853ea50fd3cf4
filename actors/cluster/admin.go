package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"copse/statemachine/tree"
)

// Admin changes the list of members as a user asks.
type Admin struct {
	List   func() *tree.Membership
	Index  func() tree.Index // of the list's shard, for errors
	Others Others
	// Decide has the cluster carry out the command, or says why it isn't.
	Decide func(c *tree.Command) *tree.Error
}

// Add puts a new member with these peer URLs on the list. It isn't started yet.
func (a Admin) Add(peerURLs []string) (tree.Member, *tree.Error) {
	urls := slices.Sorted(slices.Values(peerURLs))
	m := tree.Member{ID: NewMemberID(urls, time.Now()), PeerURLs: urls}
	return m, a.change(tree.OpMemberAdd, m)
}

// Update gives a member other peer URLs.
func (a Admin) Update(id uint64, peerURLs []string) *tree.Error {
	return a.change(tree.OpMemberUpdate, tree.Member{ID: id, PeerURLs: peerURLs})
}

// Remove removes a member from the cluster, for good. It is refused if those members
// that remain and answer are no quorum.
func (a Admin) Remove(id uint64) *tree.Error {
	if err := a.checkQuorum(id); err != nil {
		return err
	}
	return a.change(tree.OpMemberRemove, tree.Member{ID: id})
}

// checkQuorum makes sure that a quorum remains without the member. Members that never
// started have no vote.
func (a Admin) checkQuorum(without uint64) *tree.Error {
	ms := a.List()
	if _, ok := ms.Member(without); !ok {
		return nil // the change itself reports what is wrong
	}
	voters, alive := 0, 0
	answers := a.Others.alive(context.Background(), ms.Members)
	for _, m := range ms.Members {
		if m.ID == without || m.Name == "" {
			continue
		}
		voters++
		if answers[m.ID] {
			alive++
		}
	}
	if alive < voters/2+1 {
		return &tree.Error{Code: tree.CodeQuorumLoss, Cause: fmt.Sprintf("%d of the %d remaining members answer", alive, voters), Index: a.Index()}
	}
	return nil
}

func (a Admin) change(op tree.Op, m tree.Member) *tree.Error {
	c := tree.MemberCommand(op, m)
	return a.Decide(&c)
}
