package actors

import "copse/statemachine/tree"

// GetCached is Get of what needs neither the disk nor other members.
func (r *Router) GetCached(dst []byte, q *tree.Query) (out []byte, st tree.State, err *tree.Error, ok bool) {
	if !r.atOnce(q) {
		return dst, st, nil, false
	}
	p := r.at(q.Key)
	st = r.state(p) // before the nodes, as in Get
	out, err, ok = p.machine.GetCached(dst, q, unixNow)
	if err != nil {
		err.Index = max(err.Index, st.Index)
	}
	return out, st, err, ok
}

// atOnce reports whether q may be answered from memory, if that has it.
func (r *Router) atOnce(q *tree.Query) bool {
	return !q.Confirmed() && q.MinIndex == 0 && q.Raw == nil && q.Plain() && !q.Page.Base64 && !r.spans(q.Key) && r.refusal() == nil && r.follows() == nil
}

// Loads reports whether GetCached may have an answer to q after Load, and has none before. It may have none
// then either: there is a directory, say, or what was loaded has been evicted.
func (r *Router) Loads(q *tree.Query) bool {
	return !q.Recursive && r.atOnce(q) && r.at(q.Key).machine.Loads(q.Key)
}

// Load brings the node that q asks for into memory, unless it is large. It may wait for the disk.
func (r *Router) Load(q *tree.Query) { r.at(q.Key).machine.Load(q.Key) }

// Confirm has notify called once GetCached may answer q, a quorum read or one of a bounded age, or with
// the reason why not, perhaps before it returns. It returns false, and has done nothing, if GetCached
// would have no answer.
func (r *Router) Confirm(q *tree.Query, notify func(error)) bool {
	if q.MinIndex != 0 || q.Raw != nil || !q.Plain() || q.Page.Base64 || r.sharded != nil || r.refusal() != nil || r.follows() != nil {
		return false
	}
	p := r.at(q.Key)
	if !p.machine.Knows(q.Key) {
		return false
	}
	p.lane.Notify(r.timeout, q.MaxStale, notify)
	return true
}

// Submit is Do for a caller that doesn't wait: it has notify called with the outcome, perhaps before it
// returns. It returns false, and has done nothing, for what isn't the business of one shard alone.
func (r *Router) Submit(c *tree.Command, notify func(tree.Reply)) bool {
	if c.Op == tree.OpTxn || c.Key == "/" || r.sharded != nil && c.InRoot() || r.refusal() != nil || r.follows() != nil || r.newerRefusal(c) != nil {
		return false
	}
	r.at(c.Key).actor.Submit(c, notify)
	return true
}
