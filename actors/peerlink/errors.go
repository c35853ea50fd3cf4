package peerlink

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// Refusal is why a member refused a connection.
type Refusal uint8

// The refusals. Their numbers are part of the protocol.
const (
	UnsupportedVersion Refusal = 1 + iota
	ForeignCluster
	WrongGeneration // of the same cluster, but one side was started anew (--force-new-cluster)
	WrongMember     // not the member that the dialer wants
	Removed         // the dialer has been removed from the cluster
	NotReady        // for raft traffic, since dragonboat isn't running
	NotAllowed      // a stranger wants more than a call; or Options.Allowed said no
	NeedsTLS        // the port requires TLS
	NoTLS           // the port doesn't support TLS
	Busy            // this member has too many connections already
)

// Error says it to the dialer, for whom "it" is the member that refused.
func (r Refusal) Error() string {
	switch r {
	case UnsupportedVersion:
		return "it uses another version of the peer protocol"
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
		return "it requires TLS"
	case NoTLS:
		return "it doesn't support TLS"
	case Busy:
		return "it has too many connections"
	}
	return fmt.Sprintf("it refuses the connection, for reason %d", uint8(r))
}

// ofDialer says the same to the member that refused, for which "it" is the dialer.
func (r Refusal) ofDialer() string {
	switch r {
	case WrongMember:
		return "it takes this member for another one"
	case Removed:
		return "it has been removed from the cluster"
	case NotAllowed:
		return "this member doesn't allow that"
	case NeedsTLS:
		return "it doesn't speak TLS, which this member requires"
	case NoTLS:
		return "it speaks TLS, which this member doesn't support"
	case Busy:
		return "this member has too many connections"
	}
	return r.Error()
}

// ErrUnsent is in the error of a call that was not sent.
var ErrUnsent = errors.New("the call was not sent")

// unsent is ErrUnsent with its cause.
func unsent(cause error) error { return fmt.Errorf("%w: %w", ErrUnsent, cause) }

// CallError is an error returned by the handler of a call.
type CallError struct {
	Code uint8 // the handler's; 0: none
	Text string
}

func (e *CallError) Error() string { return e.Text }

// errTLS is in the error of a TLS handshake that failed for what one side has shown.
var errTLS = errors.New("TLS")

// explain adds to a failed TLS handshake what it means for members: what the libraries say
// of authorities is about certificates that, with a cluster secret, nobody has ever seen.
func explain(err error) error {
	var stranger x509.UnknownAuthorityError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stranger):
		return explained{errors.New("it has another cluster secret, or a certificate of another authority"), err}
	case strings.HasSuffix(err.Error(), "remote error: tls: bad certificate"):
		return explained{errors.New("it doesn't trust this member, which has another cluster secret, or a certificate that it refuses"), err}
	case strings.Contains(err.Error(), "remote error: tls: "):
		return fmt.Errorf("%w: it doesn't trust this member, which has another cluster secret, or a certificate that it refuses: %w", errTLS, err)
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w: %w", errTLS, err)
}

// explained is a failed handshake whose meaning says all that its cause does.
type explained struct{ meaning, cause error }

func (e explained) Error() string   { return errTLS.Error() + ": " + e.meaning.Error() }
func (e explained) Unwrap() []error { return []error{errTLS, e.cause} }

// The reasons why a connection ends.
var (
	errIdle      = errors.New("nothing has arrived for a long time")
	errClosed    = errors.New("the peer link is closed")
	errMalformed = errors.New("malformed")
	errOutdated  = errors.New("the member has another address, or was removed")
	errUnknown   = errors.New("the member's address is unknown")
	errNoMember  = errors.New("no copse member answers there: does it hang, or is it a client URL?")
)
