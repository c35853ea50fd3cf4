package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
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
// port, probes, metrics and the drain. It is there before the server is, and tells
// what that waits for.
type operations struct {
	c        *config.Config
	log      *slog.Logger
	level    *slog.LevelVar
	security security
	ports    []*port

	waits    atomic.Value            // string: what the start waits for; "" once clients are served
	running  atomic.Pointer[running] // nil until the parts are there
	draining atomic.Bool
}

// running are the parts of a server that are asked how they are.
type running struct {
	node   *actors.Node
	server *httpfront.Server
	disk   *actors.DiskWatch
}

// What a start waits for, in words for an operator.
const (
	waitsForEntry = "the member waits to be let into the cluster"
	waitsForParts = "the member is starting"
	waitsForLog   = "the member hasn't caught up with its cluster yet"
)

// open takes the operations port and serves on it until close. Once it is open, it
// has nothing more to do.
func (o *operations) open() error {
	if o.ports != nil {
		return nil
	}
	listeners, err := listen("operations", "listen-metrics-urls", o.c.ListenMetricsURLs)
	if errors.Is(err, syscall.EADDRINUSE) && !o.c.Given("listen-metrics-urls") {
		// Several servers on one machine, as etcd allows without a flag: nobody
		// has asked for this port by name.
		o.log.Warn("there is no operations port: another server has the default one; --listen-metrics-urls gives this one its own", "component", "main", "err", err)
		return nil
	}
	for _, l := range listeners {
		o.ports = append(o.ports, o.serve(l))
	}
	return err
}

func (o *operations) close() {
	for _, p := range o.ports {
		p.stop()
		<-p.ended
	}
}

// port is one address of the operations port, being served.
type port struct {
	listener
	server *ops.Server
	ended  chan struct{} // closed; err is set then
	err    error
}

func (o *operations) serve(l listener) *port {
	p := &port{listener: l, ended: make(chan struct{}), server: ops.NewServer(ops.Options{
		Live: o.live(), Ready: o.ready(), Healthy: o.healthy,
		Scrape: o.scrape, Pprof: o.c.EnablePprof, Log: o.log,
	})}
	go func() {
		defer close(p.ended)
		p.err = p.server.Serve(l.wrapped(o.security))
	}()
	return p
}

func (p *port) run() error {
	<-p.ended
	return p.err
}

func (p *port) stop() {
	late, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	p.server.Stop(late)
}

// urls are where the operations port is to be found.
func (o *operations) urls() []string {
	list := make([]string, 0, len(o.ports))
	for _, p := range o.ports {
		list = append(list, p.url())
	}
	return list
}

// live and ready are what probes check. What isn't there yet is no reason to be
// killed.
func (o *operations) live() ops.Checks {
	return ops.Checks{
		{Name: "disk", Ok: o.asks(nil, func(r *running) error { return r.disk.CheckAlive() })},
		{Name: "apply", Ok: o.asks(nil, func(r *running) error { return r.node.CheckAlive() })},
	}
}

func (o *operations) ready() ops.Checks {
	absent := errors.New("there is nothing to ask yet")
	return ops.Checks{
		{Name: "started", Ok: func() error { return trouble(o.waits.Load().(string)) }},
		{Name: "leader", Ok: o.asks(absent, func(r *running) error { return r.node.CheckLeader() })},
		{Name: "caught-up", Ok: o.asks(absent, func(r *running) error { return r.node.CheckCaughtUp() })},
		{Name: "disk-reserve", Ok: o.asks(absent, func(r *running) error { return r.disk.CheckReserve() })},
		{Name: "draining", Ok: func() error {
			if o.draining.Load() {
				return errors.New("the server is about to stop")
			}
			return nil
		}},
	}
}

// asks makes a check of the running parts; without them it gives absent.
func (o *operations) asks(absent error, check func(*running) error) func() error {
	return func() error {
		if r := o.running.Load(); r != nil {
			return check(r)
		}
		return absent
	}
}

func trouble(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

func (o *operations) healthy() bool {
	r := o.running.Load()
	return r != nil && o.waits.Load() == "" && r.node.Router().Healthy()
}

// scrape writes all there is to count.
func (o *operations) scrape(w *metric.Writer) {
	w.Family("copse_build_info", metric.GaugeKind, "What is running.")
	w.Uint(1, "version", version, "revision", revision(), "goversion", runtime.Version(), "answers_like", httpfront.EtcdVersion)
	if r := o.running.Load(); r != nil {
		r.server.WriteMetrics(w)
		r.node.WriteMetrics(w)
		r.disk.WriteMetrics(w)
	}
	o.security.all().WriteMetrics(w)
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

// watch asks r from now on, and adds to g what is to outlive the server: who
// watches wants to see it stop.
func (o *operations) watch(g *actors.Group, r *running) {
	o.running.Store(r)
	o.waits.Store(waitsForLog)
	for _, p := range o.ports {
		g.Add("operations "+p.Addr().String(), p.run, p.stop)
	}
	g.Add("disk watch", r.disk.Run, r.disk.Stop)
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

// settingsHash tells members with different settings apart at a glance.
func settingsHash(c *config.Config) string {
	h := sha256.New()
	for _, v := range c.Values() {
		fmt.Fprintf(h, "%s=%s\n", v.Flag, v.Text)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}
