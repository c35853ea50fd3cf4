package actors

import (
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// Auth is what this member knows about users and roles.
func (r *Router) Auth() *auth.State { return &auth.State{} }

// AuthChanged receives a value after Auth has changed. It has one reader.
func (r *Router) AuthChanged() <-chan struct{} { return nil }

// ChangeAuth has the cluster carry out c, and waits until that is applied here.
func (r *Router) ChangeAuth(c *auth.Change) (auth.Outcome, *tree.Error) {
	_, out := r.Auth().Apply(c)
	return out, nil
}
