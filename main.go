// Command copse serves the etcd v2 HTTP API from raft groups on disk. README.md
// says how to start it, docs/ARCHITECTURE.md how it works.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"copse/actors"
	"copse/config"
	"copse/httpfront"
	"copse/statemachine"
	"copse/statemachine/tree"
)

// version is copse's own; clients see the etcd version that it answers like.
const version = "0.1.0"

// Exit codes.
const (
	exitFailed  = 1 // something went wrong while serving
	exitUsage   = 2 // the command line or environment can't be followed
	exitLocked  = 3 // another copse has the data directory
	exitNewer   = 4 // the data is of a newer copse
	exitCorrupt = 5 // the data is damaged
)

// stopLimit bounds how long a graceful stop waits for requests in flight. With
// three seconds for others to take over leadership, and one for the operations
// port, it makes less than ten.
const stopLimit = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// runServer serves until ctx is done; it returns the exit code.
func runServer(ctx context.Context, c *config.Config, warnings []string, host string, stderr io.Writer, began time.Time) int {
	level := new(slog.LevelVar)
	level.Set(c.LogLevel)
	log := newLog(c.LogFormat, level, stderr)
	for _, w := range warnings {
		log.Warn(w, "component", "main")
	}
	keepToMemory(c, log)
	if err := serve(ctx, c, host, log, level, began); err != nil {
		log.Error("copse can't go on", "component", "main", "err", err)
		return exitCode(err)
	}
	return 0
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, actors.ErrDirContradicted):
		return exitUsage
	case errors.Is(err, actors.ErrDirLocked):
		return exitLocked
	case errors.Is(err, actors.ErrDirNewer), errors.Is(err, statemachine.ErrNewerFormat):
		return exitNewer
	case errors.Is(err, actors.ErrDirCorrupt), errors.Is(err, actors.ErrDirForeign), errors.Is(err, actors.ErrRaftDamaged), errors.Is(err, statemachine.ErrDamaged):
		return exitCorrupt
	default:
		return exitFailed
	}
}

// serve joins the parts and runs them until ctx is done or one fails.
func serve(ctx context.Context, c *config.Config, host string, log *slog.Logger, level *slog.LevelVar, began time.Time) error {
	peer, err := peerOptions(c)
	if err != nil {
		return err
	}
	dir, members, err := openDir(ctx, fresh(c, host, peer.Peers, log), c)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.LiftHostPin(host); err != nil {
		return err
	}
	for _, w := range dir.Warnings {
		log.Warn(w, "component", "main")
	}
	files := shareFiles()
	options := nodeOptions(c, dir, members, peer, files.store, log, began)
	if c.ForceNewCluster && !dir.Created || dir.Identity.Forcing {
		log.Warn("this member becomes the only one of a new generation of its cluster; the others can't come back", "component", "main", "generation", dir.Identity.Generation+1)
		if err := actors.ForceNew(options); err != nil {
			return err
		}
		options = nodeOptions(c, dir, members, peer, files.store, log, began)
	}
	operate, err := prepare(c, dir.Path(), log, level)
	if err != nil {
		return err
	}
	listeners, err := listen("clients", "listen-client-urls", c.ListenClientURLs)
	if err != nil {
		return errors.Join(err, closeAll(operate.listeners))
	}
	id := dir.Identity
	log.Info("copse starts", "component", "main", "version", version, "name", c.Name,
		"member", fmt.Sprintf("%x", id.MemberID), "cluster", fmt.Sprintf("%x", id.ClusterID),
		"data_dir", dir.Path(), "fresh", dir.Created, "clients", urlsOf(listeners),
		"raft", texts(c.ListenPeerURLs), "operations", urlsOf(operate.listeners), "settings", settingsHash(c))

	options.Disk = operate.disk
	node, err := actors.NewNode(options)
	if err != nil {
		return errors.Join(err, closeAll(listeners), closeAll(operate.listeners))
	}
	server := httpfront.NewServer(node.Router(), operate.front(httpfront.Options{
		MaxRequestBytes: c.MaxRequestBytes,
		MaxHeaderBytes:  c.MaxHeaderBytes,
		MaxConnections:  files.clients,
		ReadTimeout:     c.ReadTimeout,
		IdleTimeout:     c.IdleTimeout,
		StreamWindow:    c.EventHistory,
		CORS:            c.CORS,
		Log:             log,
	}))
	var group actors.Group
	operate.parts(&group, node, server)
	node.Parts(&group)
	join := sync.OnceValue(func() error {
		err := node.Join(ctx.Done())
		if err == nil {
			operate.joined.Store(true)
			log.Info("ready to serve", "component", "main", "clients", urlsOf(listeners), since(began))
		}
		return err
	})
	for _, l := range listeners {
		group.Add("http "+l.Addr().String(), func() error {
			if err := join(); err != nil {
				err = errors.Join(err, l.Close())
				if ctx.Err() != nil {
					return nil // told to stop before it was ready
				}
				return err
			}
			if l.secure {
				return server.ServeTLS(l, operate.certs.Config())
			}
			return server.Serve(l)
		}, func() {
			late, cancel := context.WithTimeout(context.Background(), stopLimit)
			defer cancel()
			_ = server.Stop(late) // what ran late has been cut off, which is all there is to do
		})
	}
	// Stopped first: while others take over leadership, clients are still served.
	stopping := make(chan struct{})
	group.Add("leadership", func() error { <-stopping; return nil }, sync.OnceFunc(func() {
		node.HandOver()
		close(stopping)
	}))
	operate.drain(ctx, &group)
	err = group.Run(context.Background())
	if errors.Is(err, actors.ErrRemoved) {
		log.Warn("copse has stopped for good", "component", "main", "why", actors.ErrRemoved.Error())
		return nil
	}
	log.Info("copse has stopped", "component", "main", since(began))
	return err
}

// openDir opens the data directory. A fresh one needs to know first which cluster
// it is going to belong to.
func openDir(ctx context.Context, f actors.Fresh, c *config.Config) (*actors.DataDir, []tree.Member, error) {
	id, members := f.Wanted, f.Founders
	if !actors.Founded(c.DataDir) {
		var err error
		if id, members, err = actors.Enlist(ctx, f); err != nil {
			return nil, nil, err
		}
	}
	dir, err := actors.OpenDataDir(c.DataDir, id, claim(c, f.Wanted))
	if err != nil {
		return nil, nil, err
	}
	if dir.Identity.Removed {
		return nil, nil, errors.Join(fmt.Errorf("data directory %s: %w", c.DataDir, actors.ErrRemoved), dir.Close())
	}
	return dir, members, nil
}
