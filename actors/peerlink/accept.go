package peerlink

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// port is one address the link listens on.
type port struct {
	ln  net.Listener
	tls func() *tls.Config // nil: plain text
}

// Bounds of the connections that others can make this member keep open.
const (
	waitingLimit     = 128 // connections that have not completed the handshake
	perMemberLimit   = 128 // connections that one member has made
	strangersLimit   = 64  // connections that all strangers have made
	longestAcceptGap = time.Second
)

// accept accepts connections until the port closes. Any other failure, such as too many
// open files, is temporary.
func (l *Link) accept(p *port) {
	pause := 5 * time.Millisecond
	for {
		raw, err := p.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			l.log.Warn("accept", "accepting a peer's connection failed", "address", p.ln.Addr(), "error", err)
			select {
			case <-time.After(pause):
				pause = min(2*pause, longestAcceptGap)
				continue
			case <-l.ctx.Done():
				return
			}
		}
		pause = 5 * time.Millisecond
		if !l.waiting.add(raw) || !l.spawn(func() { l.serve(newConn(raw, l.timeouts), p) }) {
			raw.Close()
			return
		}
	}
}

// serve completes the handshake with whoever has connected, and then serves the
// connection until it ends.
func (l *Link) serve(c *conn, p *port) {
	defer l.drop(c)
	h, err := l.hear(c, p)
	if err == nil {
		err = l.admit(c, h)
	}
	if refusal := Refusal(0); errors.As(err, &refusal) {
		member := uint64(0)
		if refusal == WrongMember {
			member = l.o.Self
		}
		_, _ = c.Write(appendAnswer(nil, refusal, member))
	} else if err == nil {
		_, err = c.Write(appendAnswer(nil, 0, l.o.Self))
	}
	if !l.waiting.remove(c.raw) {
		return // there were too many others, or the link is closed
	}
	if err != nil {
		l.log.refused(c, h, err)
		return
	}
	if err := l.work(c); err != nil {
		l.log.ended(c, err)
	}
}

// work serves a connection according to its kind.
func (l *Link) work(c *conn) error {
	if c.kind == kindCalls {
		return l.serveCalls(c)
	}
	if t := l.raft.Load(); t != nil {
		return t.serve(c)
	}
	return nil // dragonboat has just been closed
}

// hear reads the hello, starting TLS first if the dialer does.
func (l *Link) hear(c *conn, p *port) (hello, error) {
	if err := c.raw.SetDeadline(c.by); err != nil {
		return hello{}, err
	}
	first, err := c.r.Peek(1)
	if err != nil {
		return hello{}, err
	}
	const tlsHandshake = 0x16
	switch isTLS := first[0] == tlsHandshake; {
	case isTLS && p.tls == nil:
		return hello{}, NoTLS // the answer isn't TLS either, so the dialer's error tells it
	case isTLS:
		if err := c.acceptTLS(l, p.tls().Clone()); err != nil {
			return hello{}, err
		}
	case p.tls != nil:
		if first[0] != magic[0] {
			return hello{}, fmt.Errorf("%w: it doesn't start like a peer", errMalformed)
		}
		// If some of the hello were left unread, closing would discard the answer.
		_, err := io.CopyN(io.Discard, c.r, helloSize)
		return hello{}, errors.Join(err, NeedsTLS)
	}
	return readHello(c.r)
}

// acceptTLS starts TLS on a connection whose first bytes are in c.r already. c takes
// over config.
func (c *conn) acceptTLS(l *Link, config *tls.Config) error {
	begun := make([]byte, c.r.Buffered())
	if _, err := io.ReadFull(c.r, begun); err != nil {
		return err
	}
	// A session ticket that the dialer hasn't read would make its close discard what it
	// has just sent. And connections here are long-lived, so tickets gain nothing.
	config.SessionTicketsDisabled = true
	server := tls.Server(&begunConn{Conn: c.raw, begun: begun}, config)
	if err := server.HandshakeContext(l.ctx); err != nil {
		return explain(err)
	}
	c.nc = server
	return nil
}

// begunConn is a connection whose first bytes have been read already.
type begunConn struct {
	net.Conn
	begun []byte
}

func (b *begunConn) Read(p []byte) (int, error) {
	if len(b.begun) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.begun)
	b.begun = b.begun[n:]
	return n, nil
}

// readHello reads only as far as it understands the version.
func readHello(r io.Reader) (hello, error) {
	buf := make([]byte, helloSize)
	if _, err := io.ReadFull(r, buf[:versionEnd]); err != nil {
		return hello{}, err
	}
	if h, err := decodeHello(buf[:versionEnd]); errors.Is(err, UnsupportedVersion) || string(buf[:8]) != magic {
		return h, err
	}
	if _, err := io.ReadFull(r, buf[versionEnd:]); err != nil {
		return hello{}, err
	}
	return decodeHello(buf)
}

// admit adds the connection to the list, or returns why not.
func (l *Link) admit(c *conn, h hello) error {
	if err := l.check(h); err != nil {
		return err
	}
	c.kind, c.member = h.kind, h.from
	if h.from == 0 {
		c.greeted(nil, l.now)
		return l.add(c, strangersLimit)
	}
	if err := l.add(c, perMemberLimit); err != nil {
		return err
	}
	// Asked only now: if the member is removed later, its connection is on the list.
	if l.o.Allowed != nil {
		if err := l.o.Allowed(h.from); err != nil {
			if refusal := Refusal(0); !errors.As(err, &refusal) {
				return fmt.Errorf("%w: %w", NotAllowed, err)
			}
			return err
		}
	}
	c.greeted(l.peer(h.from), l.now)
	return nil
}

// check compares a hello with what this member is.
func (l *Link) check(h hello) error {
	switch {
	case h.kind < kindRaft || h.kind > kindCalls:
		return fmt.Errorf("%w: it asks for %v", NotAllowed, h.kind)
	case h.from == 0 && h.kind != kindCalls:
		return fmt.Errorf("%w: a stranger wants to send %v", NotAllowed, h.kind)
	case h.cluster != l.o.Cluster && !(h.from == 0 && h.cluster == 0):
		return ForeignCluster
	case h.from != 0 && h.generation != l.o.Generation:
		return WrongGeneration
	case h.to != l.o.Self && !(h.to == 0 && h.kind == kindCalls):
		return WrongMember
	case h.from == l.o.Self:
		return fmt.Errorf("%w: another server has this member's id", NotAllowed)
	case h.kind != kindCalls && l.raft.Load() == nil:
		return NotReady
	}
	return nil
}

// waiting are the connections that have not completed the handshake, oldest first. If
// there are too many, the oldest is closed: a peer needs milliseconds, so it isn't one.
type waiting struct {
	limit int

	mu     sync.Mutex
	closed bool
	conns  []net.Conn
}

func newWaiting(limit int) *waiting { return &waiting{limit: limit} }

// add reports false if the link is closed.
func (w *waiting) add(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	if len(w.conns) >= w.limit {
		w.conns[0].Close()
		w.conns = slices.Delete(w.conns, 0, 1)
	}
	w.conns = append(w.conns, c)
	return true
}

// remove reports whether the connection was still waiting.
func (w *waiting) remove(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.conns, c)
	if i >= 0 {
		w.conns = slices.Delete(w.conns, i, i+1)
	}
	return i >= 0
}

func (w *waiting) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}
