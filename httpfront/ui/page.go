package ui

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Options configure a Page.
type Options struct {
	// Operations and Clients say which port has the page.
	Operations, Clients bool
	// Writes lets everybody who reaches the operations port change keys while auth is off,
	// and guests while it is on, if the role guest may. Users may in any case what their roles
	// allow.
	Writes bool
	Log    *slog.Logger
}

// Page is the web page. It serves its files and, on the operations port, the requests of its
// own scripts.
type Page struct {
	o        Options
	settings []byte // settings.json
	door     *door
	proxy    *httputil.ReverseProxy
	places   chan struct{}
	patience time.Duration // with a browser that doesn't read
}

// requestLimit bounds the requests that are passed on at once, streams of events among
// them: a page has three at most. Further ones are refused.
const requestLimit = 64

// patience is how long a browser may leave an answer unread.
const patience = time.Minute

// New returns a Page.
func New(o Options) *Page {
	p := &Page{o: o, door: newDoor(), places: make(chan struct{}, requestLimit), patience: patience}
	p.settings, _ = json.Marshal(map[string]bool{"write": o.Writes}) // booleans can be shown
	p.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
			// The origin is the operations port's own, or ServeHTTP has refused the request. The
			// server doesn't know it, and would ask --cors about it.
			r.Out.Header.Del("Origin")
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return p.door.dial(ctx, ctx.Value(remoteKey{}).(net.Addr), o.Writes)
			},
			DisableKeepAlives:  true, // a connection is one browser's
			DisableCompression: true,
		},
		ModifyResponse: func(r *http.Response) error {
			for _, h := range []string{"Origin", "Methods", "Headers"} {
				r.Header.Del("Access-Control-Allow-" + h) // --cors is for the client port
			}
			return nil
		},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(o.Log.With("component", "http", "port", "operations").Handler(), slog.LevelDebug),
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, err error) { unavailable(w, err) },
	}
	return p
}

// Operations returns the handler for the operations port, nil if the page isn't there.
func (p *Page) Operations() http.Handler {
	if !p.o.Operations {
		return nil
	}
	return p
}

// OnClients reports whether the client port serves the page.
func (p *Page) OnClients() bool { return p.o.Clients }

// Door yields the connections that pass on the page's requests. They are Visitors.
func (p *Page) Door() net.Listener { return p.door }

// remoteKey is the key under which a request's context has the browser's address.
type remoteKey struct{}

// ServeHTTP serves the files below Prefix, and passes on requests below /v2 and for /version.
// The caller has checked that the request's Host is one of the server's names (ops.Named).
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == Prefix || strings.HasPrefix(r.URL.Path, Prefix+"/") {
		p.serveFile(w, r)
		return
	}
	if foreign(r) {
		http.Error(w, "the operations port serves no pages of other origins", http.StatusForbidden)
		return
	}
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	default:
		unavailable(w, errors.New("the operations port has too many requests"))
		return
	}
	if r.Method == http.MethodGet {
		// A stream has no end, and a connection whose browser has left is noticed.
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})); err != nil {
			unavailable(w, err)
			return
		}
		w = &unhurried{w, c, p.patience}
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		unavailable(w, err)
		return
	}
	remote := net.Addr(net.TCPAddrFromAddrPort(from))
	p.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), remoteKey{}, remote)))
}

// unhurried is an answer that may take any time, unless the browser stops reading it: it would
// hold its place for ever.
type unhurried struct {
	http.ResponseWriter
	conn     *http.ResponseController
	patience time.Duration
}

func (u *unhurried) Write(b []byte) (int, error) {
	if err := u.conn.SetWriteDeadline(time.Now().Add(u.patience)); err != nil {
		return 0, err
	}
	return u.ResponseWriter.Write(b)
}

// FlushError ends what Write has begun.
func (u *unhurried) FlushError() error {
	return errors.Join(u.conn.Flush(), u.conn.SetWriteDeadline(time.Time{}))
}

// foreign reports whether a page of another origin sends the request. Browsers say so in one
// of two headers; where they say nothing, the request is their user's or another program's.
func foreign(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

func (p *Page) serveFile(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, Prefix+"/")
	if !ok {
		http.Redirect(w, r, Prefix+"/", http.StatusMovedPermanently)
		return
	}
	f, ok := p.File(name)
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	for _, h := range Headers {
		w.Header().Set(h[0], h[1])
	}
	w.Header().Set("Content-Type", f.Type)
	_, _ = w.Write(f.Body)
}

// unavailable answers with v2's errorCode 300.
func unavailable(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	body, _ := json.Marshal(map[string]any{"errorCode": 300, "message": "Raft Internal Error", "cause": err.Error(), "index": 0})
	_, _ = w.Write(append(body, '\n'))
}
