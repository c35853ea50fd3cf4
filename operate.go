package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"copse/actors"
	"copse/config"
	"copse/httpfront"
	"copse/httpfront/ops"
	"copse/statemachine/metric"
)

// operations is what a server has for those who operate it: the operations
// port, probes, metrics, the disk's watch, the certificates and the drain.
type operations struct {
	c         *config.Config
	log       *slog.Logger
	level     *slog.LevelVar
	disk      *actors.DiskWatch
	certs     *httpfront.Certificates // nil: nothing is served over TLS
	listeners []listener

	// Set by watch, before the group runs.
	node   *actors.Node
	server *httpfront.Server

	joined, draining atomic.Bool
}

// prepare takes the operations port, reads the certificates and has a first
// look at the disk below dir.
func prepare(c *config.Config, dir string, log *slog.Logger, level *slog.LevelVar) (*operations, error) {
	o := &operations{c: c, log: log, level: level}
	var err error
	if c.ClientTLS.CertFile != "" {
		if o.certs, err = httpfront.LoadCertificates(tlsFiles(c.ClientTLS), log); err != nil {
			return nil, err
		}
	}
	o.listeners, err = listen("operations", "listen-metrics-urls", c.ListenMetricsURLs)
	if errors.Is(err, syscall.EADDRINUSE) && !c.Given("listen-metrics-urls") {
		// Several servers on one machine, as etcd allows without a flag: nobody
		// has asked for this port by name.
		log.Warn("there is no operations port: another server has the default one; --listen-metrics-urls gives this one its own", "component", "main", "err", err)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	o.disk = actors.NewDiskWatch(actors.DiskOptions{Dir: dir, Reserve: uint64(c.DiskReserve), Logger: log})
	return o, nil
}

func tlsFiles(f config.TLS) httpfront.TLSFiles {
	return httpfront.TLSFiles{Cert: f.CertFile, Key: f.KeyFile, TrustedCA: f.TrustedCAFile, ClientAuth: f.ClientCertAuth}
}

// live and ready are what probes check.
func (o *operations) live() ops.Checks {
	return ops.Checks{
		{Name: "disk", Ok: o.disk.CheckAlive},
		{Name: "apply", Ok: func() error { return o.node.CheckAlive() }},
	}
}

func (o *operations) ready() ops.Checks {
	return ops.Checks{
		{Name: "started", Ok: func() error { return unless(o.joined.Load(), "the member hasn't caught up with its cluster yet") }},
		{Name: "leader", Ok: func() error { return o.node.CheckLeader() }},
		{Name: "caught-up", Ok: func() error { return o.node.CheckCaughtUp() }},
		{Name: "disk-reserve", Ok: o.disk.CheckReserve},
		{Name: "draining", Ok: func() error { return unless(!o.draining.Load(), "the server is about to stop") }},
	}
}

func unless(ok bool, trouble string) error {
	if ok {
		return nil
	}
	return errors.New(trouble)
}

// scrape writes all there is to count.
func (o *operations) scrape(w *metric.Writer) {
	w.Family("copse_build_info", metric.GaugeKind, "What is running.")
	w.Uint(1, "version", version, "revision", revision(), "goversion", runtime.Version(), "answers_like", httpfront.EtcdVersion)
	o.server.WriteMetrics(w)
	o.node.WriteMetrics(w)
	o.disk.WriteMetrics(w)
	if o.certs != nil {
		o.certs.WriteMetrics(w)
	}
	metric.WriteProcess(w)
}

// front adds to the front-end's options what operators find on the client port.
func (o *operations) front(options httpfront.Options) httpfront.Options {
	options.Live, options.Ready = o.live(), o.ready()
	options.Scrape = o.scrape
	options.SetLogLevel = func(l slog.Level) {
		o.level.Set(l)
		o.log.Info("the log level is set", "component", "main", "to", l.String())
	}
	options.SlowRequest = o.c.SlowRequest
	return options
}

// parts adds to g what is to outlive the server: who watches wants to see it
// stop.
func (o *operations) parts(g *actors.Group, node *actors.Node, server *httpfront.Server) {
	o.node, o.server = node, server
	for _, l := range o.listeners {
		s := ops.NewServer(ops.Options{
			Live: o.live(), Ready: o.ready(), Healthy: func() bool { return o.joined.Load() && node.Router().Healthy() },
			Scrape: o.scrape, Pprof: o.c.EnablePprof, Log: o.log,
		})
		g.Add("operations "+l.Addr().String(), func() error { return s.Serve(l.wrapped(o.certs)) }, func() {
			late, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			s.Stop(late)
		})
	}
	g.Add("disk watch", o.disk.Run, o.disk.Stop)
}

// drain adds the part that ends the group when ctx does, once load balancers
// have had the time to notice.
func (o *operations) drain(ctx context.Context, g *actors.Group) {
	stop := make(chan struct{})
	g.Add("drain", func() error {
		select {
		case <-ctx.Done():
		case <-stop:
			return nil
		}
		o.draining.Store(true)
		late := time.NewTimer(o.c.DrainDelay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-stop:
		}
		return nil
	}, sync.OnceFunc(func() { close(stop) }))
}

// listener is one address that is listened on.
type listener struct {
	net.Listener
	secure bool
}

// url is what a client of l's would use.
func (l listener) url() string {
	if l.secure {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// wrapped is l with TLS, if that is what it carries.
func (l listener) wrapped(certs *httpfront.Certificates) net.Listener {
	if l.secure {
		return tls.NewListener(l.Listener, certs.Config())
	}
	return l.Listener
}

// listen takes the addresses of urls, all or none; who is listened for, and by
// which flag, is for the operator.
func listen(who, flag string, urls []url.URL) ([]listener, error) {
	var listeners []listener
	for _, u := range urls {
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for %s: %w; is another server running there? --%s sets the address", who, err, flag), closeAll(listeners))
		}
		listeners = append(listeners, listener{Listener: l, secure: u.Scheme == "https"})
	}
	return listeners, nil
}

func closeAll(listeners []listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// urlsOf lists where listeners are to be found.
func urlsOf(listeners []listener) []string {
	list := make([]string, 0, len(listeners))
	for _, l := range listeners {
		list = append(list, l.url())
	}
	return list
}

// settingsHash tells members with different settings apart at a glance.
func settingsHash(c *config.Config) string {
	h := sha256.New()
	for _, v := range c.Values() {
		fmt.Fprintf(h, "%s=%s\n", v.Flag, v.Text)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}
