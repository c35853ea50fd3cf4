package ops

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"copse/httpfront/listen"
)

// PortOptions configure a Port.
type PortOptions struct {
	URLs []url.URL
	// Chosen: somebody asked for these URLs. Otherwise, as several servers may run
	// on one machine, the port is left out if another one has it.
	Chosen bool
	TLS    func() *tls.Config // for URLs with https
	Page   http.Handler       // the web page; nil: there is none
	Hosts  []string           // its names, for the page and profiles
	Pprof  bool               // serve profiles
	Log    *slog.Logger
}

// Port is the operations port, on all its addresses. It is opened before the server
// has parts, and outlives them, so that a probe always gets an answer. Open, Add and
// Close are for one goroutine.
type Port struct {
	o      PortOptions
	status *Status
	opened bool // or left out
	ports  []*address
}

// NewPort returns a Port that isn't open yet.
func NewPort(s *Status, o PortOptions) *Port { return &Port{o: o, status: s} }

// address is one address, being served.
type address struct {
	listen.Listener
	server *Server
	ended  chan struct{} // closed after err is set
	err    error
}

// stopLimit bounds how long requests in flight are waited for.
const stopLimit = time.Second

// Open listens and serves until Close, on a goroutine for each address. Only the
// first call does anything.
func (p *Port) Open() error {
	if p.opened {
		return nil
	}
	p.opened = true
	listeners, err := listen.Open("operations", "listen-metrics-urls", p.o.URLs)
	if errors.Is(err, syscall.EADDRINUSE) && !p.o.Chosen {
		p.o.Log.Warn("no operations port: another server has the default one; --listen-metrics-urls sets another", "component", "main", "err", err)
		return nil
	}
	for _, l := range listeners {
		p.ports = append(p.ports, p.serve(l))
	}
	return err
}

func (p *Port) serve(l listen.Listener) *address {
	a := &address{Listener: l, ended: make(chan struct{}), server: NewServer(Options{
		Live: p.status.Live(), Ready: p.status.Ready(), Healthy: p.status.Healthy,
		Scrape: p.status.Scrape, Page: p.o.Page, Hosts: p.o.Hosts, Pprof: p.o.Pprof, Log: p.o.Log,
	})}
	go func() {
		defer close(a.ended)
		a.err = a.server.Serve(l.WithTLS(p.o.TLS))
	}()
	return a
}

func (a *address) run() error {
	<-a.ended
	return a.err
}

func (a *address) stop() {
	late, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	a.server.Stop(late)
}

// Add adds the addresses to a group, which ends when one of them fails.
func (p *Port) Add(add func(name string, run func() error, stop func())) {
	for _, a := range p.ports {
		add("operations "+a.Addr().String(), a.run, a.stop)
	}
}

// Close stops serving, and waits for the end. It may be called after a group has
// done the same.
func (p *Port) Close() {
	for _, a := range p.ports {
		a.stop()
		<-a.ended
	}
}

// URLs are where the port is open.
func (p *Port) URLs() []string {
	list := make([]string, 0, len(p.ports))
	for _, a := range p.ports {
		list = append(list, a.URLs()...)
	}
	return list
}
