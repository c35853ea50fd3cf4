package peerlink

import "errors"

// ErrUnsent is matched by the errors of calls that were not sent.
var ErrUnsent = errors.New("the call was not sent")

// Refusal is why a member would not speak to the one that dialled it.
type Refusal uint8

// The refusals.
const (
	UnsupportedVersion Refusal = iota + 1
	ForeignCluster
	WrongGeneration
	WrongMember // not the member that the dialer looks for
	Removed     // the dialer has been removed from the cluster
	NotReady    // raft traffic, and the engine does not run
	NotAllowed  // a stranger may only call; or the owner says no
	NeedsTLS    // the port speaks TLS only
	Busy        // too many connections of this member
)

func (r Refusal) Error() string { return "refused" }

// CallError is an error that the handler of a call answered with.
type CallError struct {
	Code uint8 // the handler's; 0 if it gave none
	Text string
}

func (e *CallError) Error() string { return e.Text }
