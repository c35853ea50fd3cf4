package peerlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Handler answers a call. from is the calling member's id, 0 for a stranger
// that has not joined; kind and payload are the caller's, and payload is the
// handler's own from here on. ctx ends when the caller's patience does, when
// its connection is lost, and when the link closes.
//
// An error reaches the caller as a [*CallError]: its text, and its code if it
// is (or wraps) a *CallError already.
//
// Handlers run on a bounded number of goroutines: one that calls the member
// that called it may wait for a place that it holds itself.
type Handler func(ctx context.Context, from uint64, kind uint8, payload []byte) ([]byte, error)

// Options are what a Link is made with.
type Options struct {
	Self       uint64 // this member's id
	Cluster    uint64 // the cluster's id
	Generation uint64 // how often the cluster was started anew from one member

	// Listen are the addresses to listen on: peer URLs, whose scheme decides
	// whether TLS is spoken, or host:port, with TLS if ServerTLS is set. An
	// address that names port 0 gets one; see Link.Addrs.
	Listen []string

	// Asked for at each connection; nil where there is none to make.
	ServerTLS func() *tls.Config // for https addresses to listen on
	ClientTLS func() *tls.Config // for https peer URLs to dial

	// Book tells where the members are.
	Book *Book

	// Handler serves calls. Without one, each is answered with an error.
	Handler Handler

	// Receive takes in what members have posted, of each member one after the other. It
	// must not wait: what it doesn't take is lost. payload is its own from here on.
	Receive func(from uint64, kind uint8, payload []byte)

	// Allowed is asked at every handshake about a sender that says it is a
	// member; nil allows all. An error refuses: a [Refusal] is what the sender
	// is told, anything else tells it NotAllowed. It must not wait. When a
	// member is removed, it has to refuse it before the Book drops it.
	Allowed func(member uint64) error

	// CallLimit bounds the payload of a call and of its answer, in bytes. All
	// members should have the same. 0 means 1 MiB.
	CallLimit int

	Logger *slog.Logger // nil discards
}

// Link is a member's end of the connections with the others.
type Link struct {
	// Fixed after Listen.
	o        Options
	log      *complaints
	patience *patience
	opened   time.Time
	ports    []*port
	reader   *reader         // of the book
	ctx      context.Context // of everything that the link does
	stop     context.CancelFunc
	waiting  *waiting // connections that have not introduced themselves
	members  slots    // for handlers of members' calls
	others   slots    // for handlers of strangers' calls

	sent, received traffic
	engine         atomic.Pointer[transport] // what the engine gave to run, if it does

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	peers  map[uint64]*peer
	known  map[uint64][]string // the book, as it was when last looked at
	wg     sync.WaitGroup      // added to under mu, while not closed
}

// defaultCallLimit is Options.CallLimit's default.
const defaultCallLimit = 1 << 20

// Listen opens the ports. Calls are served from then on; raft traffic is
// refused as NotReady until the engine has been started with the link's
// TransportFactory.
func Listen(o Options) (*Link, error) { return listen(o, usualPatience()) }

func listen(o Options, p *patience) (*Link, error) {
	switch {
	case o.Self == 0 || o.Cluster == 0:
		return nil, errors.New("peer link: a member and a cluster have ids")
	case o.Book == nil:
		return nil, errors.New("peer link: there is no book")
	case len(o.Listen) == 0:
		return nil, errors.New("peer link: there is no address to listen on")
	}
	if o.CallLimit == 0 {
		o.CallLimit = defaultCallLimit
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Link{
		o: o, log: newComplaints(o.Logger), patience: p, opened: time.Now(),
		waiting: newWaiting(waitingLimit),
		members: make(slots, memberSlots), others: make(slots, strangerSlots),
		conns: make(map[*conn]struct{}), peers: make(map[uint64]*peer),
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for _, text := range o.Listen {
		port, err := l.open(text)
		if err != nil {
			for _, p := range l.ports {
				p.ln.Close()
			}
			l.stop()
			return nil, err
		}
		l.ports = append(l.ports, port)
	}
	l.reader = o.Book.follow(l.bookChanged)
	l.bookChanged()
	for _, p := range l.ports {
		l.spawn(func() { l.accept(p) })
	}
	return l, nil
}

// open listens on one address.
func (l *Link) open(text string) (*port, error) {
	a, err := parseListen(text, l.o.ServerTLS != nil)
	if err != nil {
		return nil, err
	}
	p := &port{}
	if a.tls {
		if l.o.ServerTLS == nil {
			return nil, fmt.Errorf("listen on %s: there is no certificate", text)
		}
		p.tls = l.o.ServerTLS
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive()}
	lc.SetMultipathTCP(false) // which knows nothing of setUserTimeout
	if p.ln, err = lc.Listen(l.ctx, "tcp", a.hostport); err != nil {
		return nil, err
	}
	return p, nil
}

// Addrs returns the addresses listened on, as host:port, in the order of
// Options.Listen.
func (l *Link) Addrs() []string {
	addrs := make([]string, len(l.ports))
	for i, p := range l.ports {
		addrs[i] = p.ln.Addr().String()
	}
	return addrs
}

// Close closes the ports and every connection, and waits for all of the link's
// goroutines, handlers included. It is to be called after the engine's Close.
func (l *Link) Close() error {
	l.o.Book.unfollow(l.reader)
	l.mu.Lock()
	l.closed = true
	conns := maps.Clone(l.conns)
	l.mu.Unlock()
	l.stop()
	for _, p := range l.ports {
		p.ln.Close()
	}
	l.waiting.close()
	for c := range conns {
		c.close()
	}
	l.wg.Wait()
	return nil
}

// spawn runs f on a goroutine that Close waits for. It reports false, and
// doesn't, if the link is closed.
func (l *Link) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wg.Go(f)
	return true
}

// now is the time since the link was opened: it can't jump.
func (l *Link) now() time.Duration { return time.Since(l.opened) }

// LastHeard returns when the member last sent anything, the zero time if it
// has not yet.
func (l *Link) LastHeard(member uint64) time.Time {
	l.mu.Lock()
	p := l.peers[member]
	l.mu.Unlock()
	if p == nil || p.heard.Load() == 0 {
		return time.Time{}
	}
	return l.opened.Add(time.Duration(p.heard.Load()))
}

// strangePeersLimit bounds how many members are remembered that the book
// doesn't know: anyone may claim to be one.
const strangePeersLimit = 256

// peer returns what is remembered of a member.
func (l *Link) peer(member uint64) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[member]
	if p == nil {
		p = newPeer()
		if _, known := l.known[member]; known || len(l.peers) < len(l.known)+strangePeersLimit {
			l.peers[member] = p
		}
	}
	return p
}

func (l *Link) allPeers() map[uint64]*peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.peers)
}

// add puts a connection on the list of those that end with the link, or when
// the book says that they should. One that the other side has dialled is
// refused if it has most of them already.
func (l *Link) add(c *conn, most int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	have := 0
	for other := range l.conns {
		if other.url == "" && other.member == c.member {
			have++
		}
	}
	switch {
	case l.closed:
		return errClosed
	case c.url == "" && have >= most:
		return Busy
	case c.url != "" && outdated(c, l.o.Book.all()):
		return errOutdated
	}
	l.conns[c] = struct{}{}
	return nil
}

// drop closes a connection and takes it off the list.
func (l *Link) drop(c *conn) {
	c.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}
