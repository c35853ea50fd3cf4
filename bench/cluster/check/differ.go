package check

import (
	"cmp"
	"fmt"
	"slices"

	"copse/bench/v2api"
)

// differ describes how got, which a server showed, differs from want, the oracle's.
func (c *checker) differ(want, got *v2api.Event) string {
	if want.Action != got.Action {
		return fmt.Sprintf("action is %s, not %s", got.Action, want.Action)
	}
	if diff := c.differNode(&want.Node, &got.Node); diff != "" {
		return diff
	}
	if (want.Prev == nil) != (got.Prev == nil) {
		return fmt.Sprintf("prevNode is %+v, not %+v", got.Prev, want.Prev)
	}
	if want.Prev == nil {
		return ""
	}
	if diff := c.differNode(want.Prev, got.Prev); diff != "" {
		return "prevNode: " + diff
	}
	return ""
}

// differNode compares two nodes and all below them; the order of a listing is
// the caller's business.
func (c *checker) differNode(want, got *v2api.Node) string {
	switch {
	case want.Key != got.Key:
		return fmt.Sprintf("%s instead of %s", got.Key, want.Key)
	case want.Dir != got.Dir:
		return fmt.Sprintf("%s: dir is %v", got.Key, got.Dir)
	case want.Value != got.Value:
		return fmt.Sprintf("%s: value is %.60q (%d), not %.60q (%d)", got.Key, got.Value, got.Modified, want.Value, want.Modified)
	case want.Modified != got.Modified:
		return fmt.Sprintf("%s: modifiedIndex is %d, not %d", got.Key, got.Modified, want.Modified)
	case want.Created != got.Created:
		return fmt.Sprintf("%s: createdIndex is %d, not %d", got.Key, got.Created, want.Created)
	case !v2api.SameEnd(want.Expiration, got.Expiration, c.h.Rules.Pauses):
		return fmt.Sprintf("%s: expiration is %v, not %v", got.Key, got.Expiration, want.Expiration)
	}
	for i := 0; i < len(want.Nodes) || i < len(got.Nodes); i++ {
		switch {
		case i >= len(got.Nodes) || i < len(want.Nodes) && want.Nodes[i].Key < got.Nodes[i].Key:
			return fmt.Sprintf("%s (%d) is missing", want.Nodes[i].Key, want.Nodes[i].Modified)
		case i >= len(want.Nodes) || want.Nodes[i].Key > got.Nodes[i].Key:
			return fmt.Sprintf("%s (%d) should not be there", got.Nodes[i].Key, got.Nodes[i].Modified)
		}
		if diff := c.differNode(&want.Nodes[i], &got.Nodes[i]); diff != "" {
			return diff
		}
	}
	return ""
}

// sorted returns the node with its listings in order, as a copy.
func sorted(n v2api.Node) v2api.Node {
	n.Nodes = slices.Clone(n.Nodes)
	slices.SortFunc(n.Nodes, func(a, b v2api.Node) int { return cmp.Compare(a.Key, b.Key) })
	for i := range n.Nodes {
		n.Nodes[i] = sorted(n.Nodes[i])
	}
	return n
}
