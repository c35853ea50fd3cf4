package httpfront

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"copse/httpfront/listen"
	"copse/httpfront/ops"
	"copse/statemachine/metric"
	"copse/statemachine/tree"
)

// Options are what a Server is made with.
type Options struct {
	Requests
	// MaxConnections is how many clients may be connected at once; further ones
	// wait.
	MaxConnections int
	// Live and Ready are what /livez and /readyz check.
	Live, Ready ops.Checks
	// Scrape writes every metric of the process, for /metrics.
	Scrape func(*metric.Writer)
	// SetLogLevel changes what is logged, for PUT /config/local/log.
	SetLogLevel func(slog.Level)
	// Log receives slow requests, and trouble with listeners and certificates.
	Log *slog.Logger
}

// Requests bound what one request may take. None but CORS and SlowRequest may be
// zero.
type Requests struct {
	// CORS lists the origins whose pages may use the API; "*" stands for all.
	CORS []string
	// EventHistory is how many events a stream may fall behind before it is ended:
	// as many as the window of events holds.
	EventHistory int
	// MaxRequestBytes limits the form body of a PUT or POST, which holds the value.
	MaxRequestBytes int
	// MaxHeaderBytes limits the request line and headers together. Each connection
	// in use has a buffer of this size.
	MaxHeaderBytes int
	// ReadTimeout is for a request to arrive, WriteTimeout for the client to take an
	// answer or one part of a long one, IdleTimeout for the next request to begin.
	// Parked watches have no timeout.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// Requests that take longer than SlowRequest are logged, with the time of each
	// stage; 0 turns that off.
	SlowRequest time.Duration
}

// check returns what is missing. The defaults are package config's.
func (o *Options) check() error {
	var missing []string
	for name, zero := range map[string]bool{
		"EventHistory": o.EventHistory < 1, "MaxRequestBytes": o.MaxRequestBytes < 1, "MaxHeaderBytes": o.MaxHeaderBytes < 1,
		"ReadTimeout": o.ReadTimeout <= 0, "WriteTimeout": o.WriteTimeout <= 0, "IdleTimeout": o.IdleTimeout <= 0,
		"MaxConnections": o.MaxConnections < 1, "Scrape": o.Scrape == nil, "SetLogLevel": o.SetLogLevel == nil, "Log": o.Log == nil,
	} {
		if zero {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("httpfront: these options must be set: %s", strings.Join(missing, ", "))
}

// Server answers v2's HTTP API from a Backend. It listens where Serve is told
// to, until Stop.
type Server struct {
	// Fixed after NewServer.
	backend Backend
	opts    Options
	cors    cors
	http    *fasthttp.Server

	renderedID atomic.Pointer[[]byte] // the cluster's id, once known
	exchanges  sync.Pool              // of *exchange
	conns      connTable
	meter      *meter
	slow       slowLog
	clock      func() time.Time // of tests; nil: the system's

	mu        sync.Mutex // guards what follows
	parker    *parker    // made by the first Serve
	listeners []net.Listener
	stopped   bool
	serving   sync.WaitGroup // one for each Serve; grows only while not stopped
}

// bodySlack is how far beyond the limit a body is still read whole, so that
// its refusal leaves the connection usable. Go's HTTP server has the same.
const bodySlack = 256 << 10

// writeBuffer is how many bytes of answers to pipelined requests go out together: two
// dozen small nodes.
const writeBuffer = 8 << 10

// deadlineSlack is the part of the shortest time-out by which one may be over too
// early: 1/64 spares setting them anew for each request.
const deadlineSlack = 64

// pooledBodyLimit is the size from which a body's buffer is given to the
// garbage collector after use, rather than staying with its connection.
const pooledBodyLimit = 64 << 10

// NewServer returns a Server that doesn't listen yet. It fails if an option is
// missing.
func NewServer(b Backend, o Options) (*Server, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Log = o.Log.With("component", "http")
	s := &Server{
		backend:   b,
		opts:      o,
		cors:      newCORS(o.CORS),
		meter:     newMeter(),
		slow:      slowLog{log: o.Log, limit: o.SlowRequest},
		exchanges: sync.Pool{New: func() any { return new(exchange) }},
	}
	s.http = &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.handleBroken,
		ConnState:                    s.connState,
		ReadBufferSize:               o.MaxHeaderBytes,
		WriteBufferSize:              writeBuffer,
		MaxRequestBodySize:           o.MaxRequestBytes + bodySlack,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		SecureErrorLogMessage:        true, // its text would hold values
		Logger:                       fasthttpLog{o.Log},
	}
	fasthttp.SetBodySizePoolLimit(pooledBodyLimit, pooledBodyLimit)
	return s, nil
}

// connState is told by fasthttp what a connection is doing.
func (s *Server) connState(nc net.Conn, state fasthttp.ConnState) {
	c := nc.(*conn)
	switch state {
	case fasthttp.StateActive:
		c.begun()
	case fasthttp.StateIdle:
		c.answered()
		s.slow.sent(c)
	case fasthttp.StateClosed:
		s.slow.sent(c)
	}
}

// fasthttpLog passes on what fasthttp has to say about single connections.
type fasthttpLog struct{ log *slog.Logger }

func (l fasthttpLog) Printf(format string, args ...any) {
	if !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	l.log.Debug(fmt.Sprintf(format, args...))
}

// Serve takes connections from ln, which it closes in the end, until Stop; it
// returns nil then. It may be called once for each address to listen on.
func (s *Server) Serve(ln net.Listener) error { return s.serveOn(ln, nil) }

// ServeWhen serves one address once ready has returned nil, over TLS if its URL is
// https. Where ready fails it returns the error, or nil if ctx has ended.
func (s *Server) ServeWhen(ctx context.Context, ready func() error, l listen.Listener, security func() *tls.Config) error {
	if err := ready(); err != nil {
		err = errors.Join(err, l.Close())
		if ctx.Err() != nil {
			return nil // the server was stopped before it was ready
		}
		return err
	}
	if l.Secure {
		return s.ServeTLS(l, security())
	}
	return s.Serve(l)
}

// StopSoon is Stop with a limit for requests in flight. With three seconds for others
// to take over leadership, and one for the operations port, it makes less than ten.
func (s *Server) StopSoon() {
	late, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.Stop(late) // requests that took longer have been cut off
}

// ServeTLS is Serve for clients that speak TLS as config says.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error { return s.serveOn(ln, config) }

func (s *Server) serveOn(ln net.Listener, security *tls.Config) error {
	l, err := s.open(ln, security)
	if l == nil {
		return errors.Join(err, ln.Close())
	}
	defer s.serving.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			_ = l.Close()
			if s.conns.closing.Load() {
				return nil
			}
			return fmt.Errorf("accept on %v: %w", ln.Addr(), err)
		}
		if !s.conns.serve(c.(*conn), s.serveConn) {
			_ = c.Close()
		}
	}
}

// serveConn serves one connection until it is closed or parked.
func (s *Server) serveConn(c *conn) error {
	if c.wire != nil {
		if err := s.shakeHands(c); err != nil {
			return err
		}
	}
	return s.http.ServeConn(c)
}

// open counts a Serve and wraps its listener. It returns nil, without an
// error, if the server has been stopped.
func (s *Server) open(ln net.Listener, security *tls.Config) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, nil
	}
	if s.parker == nil {
		p, err := newParker(parkerOptions{
			unwatch:      s.backend.Unwatch,
			report:       func(what string, err error) { s.opts.Log.Warn(what, "err", err) },
			readTimeout:  s.opts.ReadTimeout,
			idleTimeout:  s.opts.IdleTimeout,
			writeTimeout: s.opts.WriteTimeout,
			streamWindow: tree.Index(s.opts.EventHistory),
			streamLimit:  streamLimit,
			connections:  s.opts.MaxConnections,
			slack:        min(s.opts.ReadTimeout, s.opts.IdleTimeout, s.opts.WriteTimeout) / deadlineSlack,
			meter:        &s.meter.parking,
		})
		if err != nil {
			return nil, err
		}
		s.parker = p
	}
	l := s.parker.listen(ln, security)
	s.listeners = append(s.listeners, l)
	s.serving.Add(1)
	return l, nil
}

// Stop ends the server gracefully: it takes no more connections, ends parked
// watches, lets requests in flight be answered and closes connections as they
// fall idle. When ctx ends it closes the rest too. It returns when all
// goroutines of the server have, however often it is called; a request that
// the backend holds is waited for in any case.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	s.conns.closing.Store(true)
	listeners, parker := s.listeners, s.parker
	s.listeners = nil
	s.mu.Unlock()

	for _, l := range listeners {
		_ = l.Close() // the addresses are free at once, whatever it says
	}
	s.serving.Wait()
	if parker == nil {
		return s.conns.stop(ctx)
	}
	parker.stop()
	err := s.conns.stop(ctx)
	parker.settle()
	return err
}
