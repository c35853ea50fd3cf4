package actors

import (
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// Auth returns what this member knows about users and roles; never nil.
func (r *Router) Auth() *auth.State { return r.member.machine.Auth() }

// AuthChanged receives a value after Auth has changed. It has one reader.
func (r *Router) AuthChanged() <-chan struct{} { return r.member.machine.AuthChanged() }

// ChangeAuth has the cluster carry out c, and waits until that is applied here. Every
// change of a cluster goes through the log of the shard that has its users, one after the
// other: none is lost to another one that was made at the same time.
func (r *Router) ChangeAuth(c *auth.Change) (auth.Outcome, *tree.Error) {
	if err := r.refusal(); err != nil {
		return auth.Outcome{}, err
	}
	value := c.Append(nil)
	if !auth.IsChange(value) { // httpfront sends none that is bad in another way
		return auth.TooLong(), nil
	}
	reply := r.member.part(orderShard).actor.Do(&tree.Command{Op: tree.OpAuth, Key: "/", Value: value})
	if reply.Err != nil {
		return auth.Outcome{}, reply.Err
	}
	out, err := auth.ReadOutcome(reply.Outcome)
	if err != nil {
		return out, tree.Unavailable(err)
	}
	return out, nil
}
