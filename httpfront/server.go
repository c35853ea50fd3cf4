package httpfront

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"copse/config/logging"
	"copse/httpfront/listen"
	"copse/httpfront/login"
	"copse/statemachine/inflight"
	"copse/statemachine/tree"
)

// Server serves v2's HTTP API from a Backend, on the listeners given to Serve, until Stop.
type Server struct {
	// Fixed after NewServer.
	backend Backend
	opts    Options
	cors    cors
	http    []*fasthttp.Server // by the size of their buffers, see intake.go

	renderedIDs atomic.Pointer[renderedIDs] // nil until known
	reused
	inFlight *inflight.Budget
	meter    *meter
	noted
	refusals *logging.Seldom // of connections, handshakes and credentials
	logins   *login.Checker
	conns    connections
}

// reused is what requests take and give back.
type reused struct {
	exchanges   sync.Pool     // of *exchange
	bodies      sync.Pool     // of *[]byte, longer than pooledBodyLimit: large bodies often come one after the other
	droppers    chan struct{} // has one for each who reads in long pieces what is dropped
	compressors compressors
}

// bodySlack is how far above the limit a body is still read completely, so that the
// connection stays usable. Go's HTTP server has the same.
const bodySlack = 256 << 10

// writeBuffer is how many bytes of answers to pipelined requests are sent together, about
// two dozen small nodes.
const writeBuffer = 8 << 10

// deadlineSlack: a timeout may end early by this fraction of the shortest one. 1/64 saves
// setting deadlines for each request.
const deadlineSlack = 64

// pooledBodyLimit is the size above which a body's buffer is freed soon after use, rather than
// kept with its connection. fasthttp's buffers are powers of two: this is enough for the form
// of a value of 64 KiB.
const pooledBodyLimit = 128 << 10

// NewServer returns a Server that doesn't listen yet. It fails if an option is
// missing.
func NewServer(b Backend, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Log = o.Log.With("component", "http")
	s := &Server{
		backend:  b,
		opts:     o,
		cors:     newCORS(o.CORS),
		inFlight: o.InFlight,
		noted:    noted{slow: slowLog{log: o.Log, limit: o.SlowRequest}, bodyTypes: bodyTypes{log: o.Log, told: make(map[netip.Addr]struct{})}},
		refusals: logging.NewSeldom(o.Log),
		logins:   login.New(b.Auth),
		reused:   reused{sync.Pool{New: func() any { return new(exchange) }}, sync.Pool{}, make(chan struct{}, droppers), newCompressors()},
	}
	s.meter = newMeter(loopCount())
	s.conns.newLoops = s.newLoops
	for _, room := range rooms(o.MaxHeaderBytes + headSlack) {
		s.http = append(s.http, s.newHTTP(room))
	}
	fasthttp.SetBodySizePoolLimit(pooledBodyLimit, pooledBodyLimit)
	return s, nil
}

// newHTTP returns what serves connections whose heads fit into so many bytes.
func (s *Server) newHTTP(room int) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.handleBroken,
		ConnState:                    s.connState,
		ReadBufferSize:               room,
		WriteBufferSize:              writeBuffer,
		MaxRequestBodySize:           s.opts.MaxRequestBytes + bodySlack,
		StreamRequestBody:            true, // see bodies.go
		HeaderReceived:               holdBack,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true, // the text would contain values
		Logger:                       fasthttpLog{s.opts.Log},
	}
}

// connState is fasthttp's callback for the state of a connection.
func (s *Server) connState(nc net.Conn, state fasthttp.ConnState) {
	c := nc.(*conn)
	switch state {
	case fasthttp.StateActive:
		c.begun()
	case fasthttp.StateIdle:
		c.answered()
		s.answered(c)
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		s.answered(c)
	}
}

// answered is called when c's answer has been sent, or can't be.
func (s *Server) answered(c *conn) {
	s.slow.sent(c)
	s.inFlight.Give(inflight.Answers, c.answer)
	s.inFlight.Give(inflight.Heads, c.held)
	c.answer, c.held = 0, 0
}

// fasthttpLog logs fasthttp's messages about single connections, at debug.
type fasthttpLog struct{ log *slog.Logger }

func (l fasthttpLog) Printf(format string, args ...any) {
	if !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	l.log.Debug(fmt.Sprintf(format, args...))
}

// Serve accepts connections from ln until Stop, and closes ln in the end. It returns nil
// after Stop. It may be called once for each address.
func (s *Server) Serve(ln net.Listener) error { return s.serveOn(ln, protection{plain: true}) }

// ServeWhen serves one address once ready has returned nil, over TLS as its URLs
// say. Where ready fails it returns the error, or nil if ctx has ended.
func (s *Server) ServeWhen(ctx context.Context, ready func() error, l listen.Listener, security func() *tls.Config) error {
	if err := ready(); err != nil {
		err = errors.Join(err, l.Close())
		if ctx.Err() != nil {
			return nil // the server was stopped before it was ready
		}
		return err
	}
	p := protection{plain: l.Plain}
	if l.Secure {
		p.tls = security()
	}
	s.warnIfExposed(l, p)
	return s.serveOn(l, p)
}

// StopSoon is Stop with a limit for requests in flight. With three seconds for others
// to take over leadership, and one for the operations port, it makes less than ten.
func (s *Server) StopSoon() {
	late, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.Stop(late) // requests that took longer have been cut off
}

// ServeTLS is Serve for clients that speak TLS as config says.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	return s.serveOn(ln, protection{tls: config})
}

func (s *Server) serveOn(ln net.Listener, security protection) error {
	return s.conns.accept(ln, security, s.serveConn)
}

// serveConn serves one connection until it is closed, parked or idle.
func (s *Server) serveConn(c *conn) error {
	defer func() { // c is the last that had the socket
		s.conns.remove(c)
		if c.state.Load() == connIdle {
			c.wait()
		}
	}()
	if c.maybe != nil {
		chosen, err := c.choose()
		if err != nil {
			return errors.Join(err, c.Close())
		}
		s.conns.replace(c, chosen)
		c = chosen
	}
	if c.wire != nil {
		if err := s.shakeHands(c); err != nil {
			return err
		}
	}
	for {
		err := s.http[roomFor(c.room)].ServeConn(c)
		if c.next == nil {
			return err
		}
		s.conns.replace(c, c.next)
		c = c.next
	}
}

// newLoops makes the poll loops, among which the connections are spread.
func (s *Server) newLoops() (loops []*pollLoop, err error) {
	report := func(what string, err error) { s.refusals.Warn(what, what, "err", err) }
	o := pollLoopOptions{
		server:  s,
		unwatch: s.backend.Unwatch,
		told:    s.backend.Told,
		report:  report,
		timeouts: timeouts{
			readTimeout:  s.opts.ReadTimeout,
			idleTimeout:  s.opts.IdleTimeout,
			writeTimeout: s.opts.WriteTimeout,
			slack:        min(s.opts.ReadTimeout, s.opts.IdleTimeout, s.opts.WriteTimeout) / deadlineSlack,
		},
		heads:        headOptions{limit: s.opts.MaxHeaderBytes + headSlack, inFlight: s.inFlight},
		streamWindow: tree.Index(s.opts.EventHistory),
		streamLimit:  streamLimit,
		rights:       rights{auth: s.backend.Auth},
		limit: newConnLimit(s.opts.MaxConnections, func() {
			var files syscall.Rlimit // which MaxConnections comes from
			_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files)
			report("new clients wait until others leave", fmt.Errorf("all %d places for connections are taken: raise the limit of open files (LimitNOFILE, ulimit -n; now %d)", s.opts.MaxConnections, files.Cur))
		}),
	}
	changed := make([]chan struct{}, len(s.meter.parking))
	for i := range changed {
		changed[i] = make(chan struct{}, 1)
	}
	for i := range changed {
		o.meter = &s.meter.parking[i]
		if o.authChanged = changed[i]; i == 0 {
			o.authChanged = s.backend.AuthChanged()
			o.tell = func() {
				for _, c := range changed[1:] {
					select {
					case c <- struct{}{}:
					default: // it is told already
					}
				}
			}
		} else {
			o.tell = nil
		}
		p, err := newPollLoop(o)
		if err != nil {
			for _, p := range loops {
				p.stop()
			}
			return nil, err
		}
		loops = append(loops, p)
	}
	return loops, nil
}

// loopCount is how many poll loops there are. With fewer than processors, reads would leave some of them idle.
func loopCount() int { return runtime.GOMAXPROCS(0) }

// Stop ends the server gracefully: it stops accepting connections, ends parked
// watches, lets requests in flight be answered and closes connections as they
// become idle. When ctx ends it closes the rest too. It returns when all
// goroutines of the server have, however often it is called; a request that
// the backend holds is waited for in any case. Clients whose passwords are still
// to be checked are sent away.
func (s *Server) Stop(ctx context.Context) error {
	s.logins.Stop()
	return s.conns.stop(ctx)
}
