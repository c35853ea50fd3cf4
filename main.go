// Command copse serves the etcd v2 HTTP API from raft groups on disk. README.md
// says how to start it, docs/ARCHITECTURE.md how it works.
package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"copse/actors"
	"copse/actors/cluster"
	"copse/actors/loop"
	"copse/config"
	"copse/config/build"
	"copse/config/certs"
	"copse/config/command"
	"copse/config/dispatch"
	"copse/config/limits"
	"copse/config/logging"
	"copse/httpfront"
	"copse/httpfront/listen"
	"copse/httpfront/ops"
	"copse/httpfront/ui"
	"copse/statemachine/inflight"
	"copse/statemachine/metric"
	"copse/statemachine/tree"
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run is the whole program. It returns the exit code.
func run(args, environ []string, stdout, stderr io.Writer) int {
	out := command.NewOutput(stdout)
	return out.ExitCode(perform(args, environ, out, stderr), stderr)
}

// perform carries out the command.
func perform(args, environ []string, stdout, stderr io.Writer) int {
	began := time.Now()
	work, code := command.Run(command.Line{Args: args, Environ: environ, Like: httpfront.EtcdVersion, MaxShards: tree.MaxSlots, CacheSize: limits.CacheSize(), Stdout: stdout, Stderr: stderr})
	if work == nil {
		return code
	}
	if work.Command == "serve" {
		limits.TimerSlack(work.Config.TimerSlack) // before any signal is caught
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if work.Command != "serve" {
		return dispatch.Run(ctx, work, environ, stdout, stderr)
	}
	c := &work.Config
	log, level, end := logging.New(c.LogFormat, c.LogLevel, stderr)
	defer end()
	for _, w := range work.Warnings {
		log.Warn(w, "component", "main")
	}
	switch err := serve(ctx, work, environ, log, level, fatal(log, end), began); {
	case err == nil, ctx.Err() != nil && errors.Is(err, context.Canceled): // stopped, perhaps before it was let into a cluster
		log.Info("copse has stopped", "component", "main", logging.Since(began))
	case errors.Is(err, cluster.ErrRemoved): // now, or before an earlier start
		log.Warn("copse has stopped for good", "component", "main", "why", err)
	default:
		log.Error("copse can't continue", "component", "main", "err", err)
		return dispatch.ExitCode(err)
	}
	return 0
}

// fatal returns what ends the log and the process. The first reason is the reason.
func fatal(log *slog.Logger, end func()) func(error) {
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			log.Error("copse can't continue", "component", "main", "err", err)
			end()
			os.Exit(dispatch.ExitCode(err))
		})
	}
}

// serve joins the parts and runs them until ctx is done or one fails.
func serve(ctx context.Context, work *command.Work, environ []string, log *slog.Logger, level *slog.LevelVar, fatal func(error), began time.Time) error {
	c, files := &work.Config, limits.Files()
	limits.Memory(c.CacheSize, log)
	security, err := certs.LoadSet(certs.Files(c.ClientTLS), certs.Files(c.PeerTLS), log)
	if err != nil {
		return err
	}
	status := ops.NewStatus(func(w *metric.Writer) { build.WriteMetrics(w, httpfront.EtcdVersion) }, security.WriteMetrics)
	defer status.TellService(environ, log)()
	defer security.ReloadOnHangup(status.Reload, log)()
	page := ui.New(ui.Options{Writes: c.UI == "write", Operations: c.PageOn("operations"), Clients: c.PageOn("clients"), Log: log})
	port := ops.NewPort(status, ops.PortOptions{Page: page.Operations(), Hosts: c.PortHosts, URLs: c.ListenMetricsURLs, Chosen: c.Given("listen-metrics-urls"), TLS: security.Clients, Pprof: c.EnablePprof, Log: log})
	defer port.Close()
	o := actors.StartOptions{Dir: c.DataDir, HostName: work.Hostname, ForceNew: c.ForceNewCluster, Bump: tree.Index(c.BumpIndex), SourceTLS: dispatch.SourceTLS(c), Started: began, Fatal: fatal, Log: log, Raft: actors.RaftOptions(c.Raft), Cluster: actors.ClusterOptions(c.Cluster()), Peer: actors.PeerPortOptions{Listen: config.Strings(c.ListenPeerURLs)}}
	o.Store = actors.StoreOptions{Window: c.EventHistory, WindowBytes: c.EventHistoryBytes, Names: actors.NameLimits(c.PerName), CacheSize: c.CacheSize, OpenFiles: files.Store, DiskReserve: uint64(c.DiskReserve), CountOutages: !c.TTLPause, InFlight: inflight.New(limits.InFlight())}
	o.Peer.ServerTLS, o.Peer.ClientTLS = security.Peers()
	starter, err := actors.Open(ctx, o, func(what string) error { status.WaitFor(what); return port.Open() })
	if err != nil {
		return err
	}
	defer starter.Close()
	listeners, err := listen.Open("clients", "listen-client-urls", c.ListenClientURLs)
	if err != nil {
		return err
	}
	log.Info("copse starts", "component", "main", "version", build.Version, "", starter, "clients", listeners.URLs(), "raft", o.Peer.Listen, "operations", port.URLs(), "settings", c.Fingerprint())
	member, err := starter.Start()
	if err != nil {
		return errors.Join(err, listeners.Close())
	}
	server, err := httpfront.NewServer(member.Router(), httpfront.Options{Requests: httpfront.Requests(c.Requests), MaxConnections: files.Clients, InFlight: o.Store.InFlight, CertificateNames: c.CertificateNames(), Live: status.Live(), Ready: status.Ready(), Scrape: status.Scrape, LeaderChanges: member.LeaderChanges, Page: page, SetLogLevel: level.Set, Log: log})
	if err != nil {
		return errors.Join(err, listeners.Close())
	}
	status.Watch(&ops.Parts{
		Member: member, Disk: starter.Disk, Healthy: member.Router().Healthy,
		Metrics: []func(*metric.Writer){server.WriteMetrics, member.WriteMetrics, starter.Disk.WriteMetrics},
	})
	joining, giveUp := context.WithCancel(ctx) // a part may end meanwhile: that of a removed member does
	join := sync.OnceValue(func() error {
		if err := cmp.Or(member.Join(joining.Done()), joining.Err()); err != nil || member.SteppedOut() { // a Join that was stopped may return nil
			return err
		}
		status.Serving()
		log.Info("ready to serve", "component", "main", "clients", listeners.URLs(), logging.Since(began))
		limits.ReleaseCode()
		return server.ResetRoot(c.RootPasswordFile)
	})
	var group loop.Group // stopped in the reverse order
	port.Add(group.Add)
	group.Add("disk watch", starter.Disk.Run, starter.Disk.Stop)
	member.Parts(&group)
	for _, l := range listeners {
		group.Add("http "+l.Addr().String(), func() error { return server.ServeWhen(joining, join, l, security.Clients) }, func() { giveUp(); server.StopSoon() })
	}
	group.Add("http page", func() error { return server.ServePage(joining, join) }, func() { giveUp(); server.StopSoon() })
	member.AddTransfer(&group)
	status.AddDrain(ctx, c.DrainDelay, group.Add)
	return group.Run(context.Background())
}
