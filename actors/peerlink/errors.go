package peerlink

import (
	"errors"
	"fmt"
)

// Refusal is why a member would not speak to the one that dialled it.
type Refusal uint8

// The refusals. Their numbers are sent.
const (
	UnsupportedVersion Refusal = 1 + iota
	ForeignCluster
	WrongGeneration // of the same cluster, but one side was started anew since
	WrongMember     // not the member that the dialer looks for
	Removed         // the dialer has been removed from the cluster
	NotReady        // raft traffic, and the engine doesn't run
	NotAllowed      // a stranger may only call; or the owner said no
	NeedsTLS        // the port speaks nothing but TLS
	NoTLS           // the port doesn't speak TLS
	Busy            // this member has too many connections already
)

func (r Refusal) Error() string {
	switch r {
	case UnsupportedVersion:
		return "it speaks another version of the peer protocol"
	case ForeignCluster:
		return "it belongs to another cluster"
	case WrongGeneration:
		return "it belongs to another generation of the cluster"
	case WrongMember:
		return "it is another member"
	case Removed:
		return "this member has been removed from the cluster"
	case NotReady:
		return "it is not ready yet"
	case NotAllowed:
		return "it doesn't allow that"
	case NeedsTLS:
		return "it speaks TLS only"
	case NoTLS:
		return "it doesn't speak TLS"
	case Busy:
		return "it has too many connections"
	}
	return fmt.Sprintf("it refuses, for reason %d", uint8(r))
}

// ErrUnsent is matched by the errors of calls that were not sent.
var ErrUnsent = errors.New("the call was not sent")

// unsent says that, and why.
func unsent(cause error) error { return fmt.Errorf("%w: %w", ErrUnsent, cause) }

// CallError is an error that the handler of a call answered with.
type CallError struct {
	Code uint8 // the handler's; 0 if it gave none
	Text string
}

func (e *CallError) Error() string { return e.Text }

// The reasons why a connection ends.
var (
	errIdle      = errors.New("nothing has come for a long time")
	errClosed    = errors.New("the peer link is closed")
	errMalformed = errors.New("malformed")
	errOutdated  = errors.New("the member has moved or is gone")
	errUnknown   = errors.New("nobody knows where the member is")
)
