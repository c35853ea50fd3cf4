package peerlink

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"copse/statemachine/tree"

	raft "github.com/lni/dragonboat/v4/config"
)

// Handler answers a call. from is the calling member's id, 0 for a stranger
// that has not joined; kind and payload are the caller's, and payload is the
// handler's own from here on. ctx ends when the caller's patience does, when
// its connection is lost, and when the link closes.
//
// An error reaches the caller as a [*CallError]: its text, and its code if it
// is (or wraps) a *CallError already.
type Handler func(ctx context.Context, from uint64, kind uint8, payload []byte) ([]byte, error)

// Options are what a Link is made with.
type Options struct {
	Self       uint64 // this member's id
	Cluster    uint64 // the cluster's id
	Generation uint64 // how often the cluster was started anew from one member

	// Listen are the addresses to listen on: peer URLs, whose scheme decides
	// whether TLS is spoken, or host:port, with TLS if ServerTLS is set. An
	// address that names a port 0 gets one; see Link.Addrs.
	Listen []string

	ServerTLS *tls.Config // required by a https address to listen on
	ClientTLS *tls.Config // required to dial a https peer URL

	// Book tells where the members are. One link follows one book.
	Book *Book

	// Handler serves calls. Without one, each is answered with an error.
	Handler Handler

	// Allowed is asked at every handshake about a sender that says it is a
	// member; nil allows all. An error refuses: a [Refusal] is what the sender
	// is told, anything else tells it [NotAllowed].
	Allowed func(member uint64) error

	// CallLimit bounds the payload of a call and of its answer, in bytes. All
	// members should have the same. 0 means 1 MiB.
	CallLimit int

	Logger *slog.Logger // nil discards
}

// Link is a member's end of the connections with the others.
type Link struct {
	o Options
}

// Listen opens the ports. Calls are served from then on; raft traffic is
// refused as NotReady until the engine has been started with the link's
// TransportFactory.
func Listen(o Options) (*Link, error) { return &Link{o: o}, errors.ErrUnsupported }

// Addrs returns the addresses listened on, as host:port, in the order of
// Options.Listen.
func (l *Link) Addrs() []string { return nil }

// TransportFactory returns what goes into the engine's
// ExpertConfig.TransportFactory. The engine's Close takes the raft traffic off
// the link, and leaves the port open for calls.
func (l *Link) TransportFactory() raft.TransportFactory { return nil }

// RegistryFactory returns what goes into the engine's
// ExpertConfig.NodeRegistryFactory. The targets of raft's membership are then
// [MemberUUID]s, and so is NodeHostConfig.NodeHostID.
func (l *Link) RegistryFactory() raft.NodeRegistryFactory { return nil }

// Call asks a member, and waits for its answer until ctx is done. payload may
// be used again when Call has returned.
//
// The error is a [*CallError] if the member's handler gave one. It matches
// [ErrUnsent] if the call has not been sent, and may be tried again; a
// [Refusal] says why, if the member has said so. Any other error leaves open
// whether the handler has run.
func (l *Link) Call(ctx context.Context, member uint64, kind uint8, payload []byte) ([]byte, error) {
	return nil, ErrUnsent
}

// CallAddress asks whoever listens at the peer URL, as a stranger: the handler
// is told that it comes from member 0. clientTLS is needed for a https URL.
// Each call has a connection of its own. Errors are those of [Link.Call].
func CallAddress(ctx context.Context, url string, clientTLS *tls.Config, kind uint8, payload []byte) ([]byte, error) {
	return nil, ErrUnsent
}

// Stats returns what was measured since the link was opened.
func (l *Link) Stats() tree.PeerStats { return tree.PeerStats{} }

// LastHeard returns when the member last sent anything, the zero time if it
// has not yet.
func (l *Link) LastHeard(member uint64) time.Time { return time.Time{} }

// Close closes the ports and every connection, and waits for all of the link's
// goroutines, handlers included. It is to be called after the engine's Close.
func (l *Link) Close() error { return nil }
