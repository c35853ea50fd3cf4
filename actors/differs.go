package actors

import (
	"context"
	"errors"

	"copse/actors/cluster"
	"copse/statemachine/tree"
)

// newComparer makes the actor that compares this member's replicas with the others'.
func (n *Member) newComparer() *cluster.Comparer {
	o := cluster.ComparerOptions{
		Self: n.self(), Voters: n.host.Voters, Term: n.host.EntryTerm, Confirm: n.host.Confirm,
		Ask: func(ctx context.Context, member uint64, question []byte) ([]byte, error) {
			return n.link.Call(ctx, member, callCompare, question)
		},
	}
	for _, m := range n.machines() {
		o.Replicas = append(o.Replicas, m)
	}
	return cluster.NewComparer(o, n.o.Logger.With("component", "comparer"))
}

// answerCompare serves callCompare.
func (n *Member) answerCompare(ctx context.Context, question []byte) ([]byte, error) {
	if !n.opened.Load() {
		return nil, errors.New("this member is starting")
	}
	return n.comparer.Answer(ctx, question)
}

// SteppedOut reports whether this member's data is wrong, so that it neither votes nor
// serves: it answers everything that asks for data with an error.
func (n *Member) SteppedOut() bool { return n.comparer.Wrong() != "" }

// endWatches ends all watches: nothing will happen here any more.
func (n *Member) endWatches() {
	for _, p := range n.parts {
		p.hub.EndAll()
	}
	if n.sharded != nil {
		n.sharded.spanning.EndAll()
	}
}

// CheckSame returns an error while another member's data contradicts this one's.
func (n *Member) CheckSame() error { return n.comparer.Check() }

// refusal is the answer to everything that asks for data, once the member has stepped out;
// else nil.
func (r *Router) refusal() *tree.Error {
	if r.member.SteppedOut() {
		return tree.Unavailable(cluster.ErrDiffers)
	}
	return nil
}
