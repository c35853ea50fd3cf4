package ops

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strings"
	"sync"
	"time"

	"copse/config/logging"
	"copse/statemachine/metric"
)

// Options configure a Server.
type Options struct {
	Live, Ready Checks
	// Healthy is the result of /health, as on the client port.
	Healthy func() bool
	// Scrape writes every metric.
	Scrape func(*metric.Writer)
	// Page is the web page, at /ui/, and what it asks for; nil: there is none.
	Page http.Handler
	// Hosts are the port's names, beside addresses and localhost, for what shows keys.
	Hosts []string
	// Pprof serves Go's profiles. They show the contents of memory, keys and values too, and
	// so are off by default.
	Pprof bool
	Log   *slog.Logger
}

// Server is the operations port, on one address.
type Server struct {
	http  *http.Server
	conns sync.WaitGroup
}

// profileLimit bounds a profile or a trace, the longest answer.
const profileLimit = 5 * time.Minute

// NewServer returns a Server that doesn't listen yet.
func NewServer(o Options) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) { answer(w, r, "livez", o.Live) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answer(w, r, "readyz", o.Ready) })
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { health(w, o.Healthy()) })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { scrape(w, o.Scrape) })
	if o.Page != nil {
		for _, path := range []string{"/ui", "/ui/", "/v2/", "/version"} {
			mux.Handle(path, Named(o.Hosts, o.Page))
		}
	}
	if o.Pprof {
		profiles := http.NewServeMux()
		profiles.HandleFunc("/debug/pprof/", pprof.Index)
		profiles.Handle("/debug/pprof/mutex", contended("mutex", func(on bool) { runtime.SetMutexProfileFraction(rate(on, mutexFraction)) }))
		profiles.Handle("/debug/pprof/block", contended("block", func(on bool) { runtime.SetBlockProfileRate(rate(on, blockRate)) }))
		profiles.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		profiles.HandleFunc("/debug/pprof/profile", pprof.Profile)
		profiles.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		profiles.HandleFunc("/debug/pprof/trace", pprof.Trace)
		mux.Handle("/debug/pprof/", Named(o.Hosts, profiles))
	}
	s := new(Server)
	var protocols http.Protocols
	protocols.SetHTTP1(true) // the image is built without HTTP/2
	s.http = &http.Server{
		Handler:           mux,
		Protocols:         &protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      profileLimit,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          newErrorLog(o.Log),
		ConnState:         s.connState,
	}
	return s
}

// errorLog takes what net/http says: of a refused handshake a line, but not too many, all
// else at debug.
type errorLog struct {
	log      *slog.Logger
	refusals *logging.Seldom
}

func newErrorLog(l *slog.Logger) *log.Logger {
	l = l.With("component", "http", "port", "operations")
	return log.New(&errorLog{l, logging.NewSeldom(l)}, "", 0)
}

func (l *errorLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	refused, found := strings.CutPrefix(text, "http: TLS handshake error from ")
	from, reason, whole := strings.Cut(refused, ": ")
	if !found || !whole || reason == "EOF" { // a port check
		l.log.Debug(text)
	} else {
		l.refusals.Warn(logging.HandshakeKind(reason), "refused a connection", "from", from, "reason", reason)
	}
	return len(line), nil
}

// connState counts connections, on the goroutine of Serve before the connection gets its
// own.
func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Done()
	}
}

// Serve accepts connections from ln until Stop, and closes ln in the end. After Stop it
// returns nil, once all goroutines of the server have ended. It may be called once.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.Serve(ln)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	} else {
		err = errors.Join(fmt.Errorf("serve operations on %v: %w", ln.Addr(), err), s.http.Close())
	}
	s.conns.Wait()
	return err
}

// Stop ends Serve: requests in flight are answered until ctx ends. It may be
// called before Serve, and more than once.
func (s *Server) Stop(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // those left have had their time
	}
}

func answer(w http.ResponseWriter, r *http.Request, probe string, checks Checks) {
	ok, body := checks.Answer(probe, r.URL.Query())
	head(w, "text/plain; charset=utf-8")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write([]byte(body)) // the client sees a truncated answer
}

// health answers like etcd's metrics port, with the client port's bytes.
func health(w http.ResponseWriter, ok bool) {
	if !ok {
		http.Error(w, `{"health":"false"}`, http.StatusServiceUnavailable)
		return
	}
	head(w, "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(`{"health":"true"}`))
}

func scrape(w http.ResponseWriter, write func(*metric.Writer)) {
	var text metric.Writer
	write(&text)
	head(w, metric.ContentType)
	_, _ = w.Write(text.Bytes())
}

// head sets the headers of every answer. Answers are not to be cached, as they are soon
// outdated.
func head(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
}
