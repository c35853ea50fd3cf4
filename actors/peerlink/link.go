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

// Handler answers a call. from is the calling member's id, 0 for a stranger, who belongs
// to no cluster; kind and payload are the caller's, and the handler may keep payload.
// ctx ends when the caller no longer waits, its connection is lost, or the link closes.
//
// An error reaches the caller as a [*CallError] with its text, and with its code if it
// is or wraps a *CallError.
//
// Handlers run on a bounded number of goroutines. So a handler that calls its caller
// may wait for a place that it occupies itself.
type Handler func(ctx context.Context, from uint64, kind uint8, payload []byte) ([]byte, error)

// Options configure a Link.
type Options struct {
	Self       uint64 // this member's id
	Cluster    uint64 // the cluster's id
	Generation uint64 // how often the cluster was started anew from one member

	// Listen are the addresses to listen on: peer URLs, with TLS if the scheme is https;
	// or host:port, with TLS if ServerTLS is set. For port 0 the system chooses one;
	// see Link.Addrs.
	Listen []string

	// Called for each connection; nil if none needs TLS.
	ServerTLS func() *tls.Config // for https addresses to listen on
	ClientTLS func() *tls.Config // for https peer URLs to dial

	// Book has the members' addresses.
	Book *Book

	// Handler serves calls. Without one, every call fails.
	Handler Handler

	// Receive takes in what members have posted, the messages of each in their order.
	// It must not block. payload belongs to it.
	Receive func(from uint64, kind uint8, payload []byte)

	// Allowed is called in every handshake with the id that the dialer claims to be;
	// nil allows all. An error refuses the connection: a [Refusal] is sent as it is,
	// any other error as NotAllowed. Allowed must not block. A removed member has to be
	// refused here before the Book drops it.
	Allowed func(member uint64) error

	// CallLimit is the largest payload of a call and of an answer, in bytes. It should
	// be the same for all members. 0 means 1 MiB.
	CallLimit int

	Logger *slog.Logger // nil discards
}

// Link is this member's end of its connections with the others.
type Link struct {
	// Fixed after Listen.
	o         Options
	log       *rateLimitedLog
	timeouts  *timeouts
	opened    time.Time
	ports     []*port
	reader    *reader         // of the book
	ctx       context.Context // of everything the link does
	stop      context.CancelFunc
	waiting   *waiting // connections that have not completed the handshake
	members   slots    // for handlers of members' calls
	strangers slots    // for handlers of strangers' calls

	sent, received traffic
	raft           atomic.Pointer[transport] // dragonboat's side, while it runs

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	peers  map[uint64]*peer
	known  map[uint64][]string // the contents of the book when last read
	wg     sync.WaitGroup      // added to under mu, while not closed
}

// defaultCallLimit is Options.CallLimit's default.
const defaultCallLimit = 1 << 20

// Listen opens the ports. Calls are served from then on; raft traffic is refused with
// NotReady until dragonboat has been started with the link's TransportFactory.
func Listen(o Options) (*Link, error) { return listen(o, usualTimeouts()) }

func listen(o Options, p *timeouts) (*Link, error) {
	switch {
	case o.Self == 0 || o.Cluster == 0:
		return nil, errors.New("peer link: the ids of the member and of the cluster must not be 0")
	case o.Book == nil:
		return nil, errors.New("peer link: there is no address book")
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
		o: o, log: newRateLimitedLog(o.Logger), timeouts: p, opened: time.Now(),
		waiting: newWaiting(waitingLimit),
		members: make(slots, memberSlots), strangers: make(slots, strangerSlots),
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
	lc.SetMultipathTCP(false) // for which setUserTimeout doesn't work
	if p.ln, err = lc.Listen(l.ctx, "tcp", a.hostport); err != nil {
		return nil, err
	}
	return p, nil
}

// Addrs returns the addresses that the link listens on, as host:port, in the order of
// Options.Listen.
func (l *Link) Addrs() []string {
	addrs := make([]string, len(l.ports))
	for i, p := range l.ports {
		addrs[i] = p.ln.Addr().String()
	}
	return addrs
}

// Close closes the ports and all connections, and waits for all of the link's
// goroutines, including handlers. dragonboat must be closed before.
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

// spawn runs f on a goroutine that Close waits for. If the link is closed, it reports
// false and doesn't run f.
func (l *Link) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wg.Go(f)
	return true
}

// now is the time since the link was opened, by a monotonic clock.
func (l *Link) now() time.Duration { return time.Since(l.opened) }

// LastHeard returns when the member last sent anything; the zero time if it hasn't yet.
func (l *Link) LastHeard(member uint64) time.Time {
	l.mu.Lock()
	p := l.peers[member]
	l.mu.Unlock()
	if p == nil || p.heard.Load() == 0 {
		return time.Time{}
	}
	return l.opened.Add(time.Duration(p.heard.Load()))
}

// strangePeersLimit bounds how many members are remembered that aren't in the book: anyone
// may claim to be one.
const strangePeersLimit = 256

// peer returns what is remembered about a member.
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

// add adds a connection to the list of those that are closed with the link, or when the
// book changes. If the other side has dialled it, and has most connections already, it
// is refused.
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

// drop closes a connection and removes it from the list.
func (l *Link) drop(c *conn) {
	c.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}
