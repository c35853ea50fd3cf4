package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"copse/actors"
	"copse/config"
	"copse/httpfront"
	"copse/statemachine/tree"
)

// stopLimit bounds how long a graceful stop waits for requests in flight. With
// three seconds for others to take over leadership, and one for the operations
// port, it makes less than ten.
const stopLimit = 5 * time.Second

// serve joins the parts and runs them until ctx is done or one fails.
func serve(ctx context.Context, c *config.Config, host string, log *slog.Logger, level *slog.LevelVar, began time.Time) error {
	security, err := loadSecurity(c, log)
	if err != nil {
		return err
	}
	defer security.reloadOnHangup(log)()
	operate := &operations{c: c, log: log, level: level, security: security}
	operate.waits.Store(waitsForEntry)
	defer operate.close()
	peer := security.peerOptions(c)
	dir, members, err := openDir(ctx, fresh(c, host, peer.Peers, log), c, operate)
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
	listeners, err := listen("clients", "listen-client-urls", c.ListenClientURLs)
	if err != nil {
		return err
	}
	id := dir.Identity
	log.Info("copse starts", "component", "main", "version", version, "name", c.Name,
		"member", fmt.Sprintf("%x", id.MemberID), "cluster", fmt.Sprintf("%x", id.ClusterID),
		"data_dir", dir.Path(), "fresh", dir.Created, "clients", urlsOf(listeners),
		"raft", texts(c.ListenPeerURLs), "operations", operate.urls(), "settings", settingsHash(c))

	options.Disk = actors.NewDiskWatch(actors.DiskOptions{Dir: dir.Path(), Reserve: uint64(c.DiskReserve), Logger: log})
	node, err := actors.NewNode(options)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
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
	operate.watch(&group, &running{node: node, server: server, disk: options.Disk})
	node.Parts(&group)
	join := sync.OnceValue(func() error {
		err := node.Join(ctx.Done())
		if err == nil {
			operate.waits.Store("")
			log.Info("ready to serve", "component", "main", "clients", urlsOf(listeners), since(began))
		}
		return err
	})
	for _, l := range listeners {
		serveClients(ctx, &group, l, server, security, join)
	}
	// Stopped first: while others take over leadership, clients are still served.
	stopping := make(chan struct{})
	group.Add("leadership", func() error { <-stopping; return nil }, sync.OnceFunc(func() {
		node.TransferLeadership()
		close(stopping)
	}))
	operate.drain(ctx, &group)
	return group.Run(context.Background())
}

// serveClients adds to g one address of the client port, which waits until the
// member has joined its cluster.
func serveClients(ctx context.Context, g *actors.Group, l listener, server *httpfront.Server, security security, join func() error) {
	g.Add("http "+l.Addr().String(), func() error {
		if err := join(); err != nil {
			err = errors.Join(err, l.Close())
			if ctx.Err() != nil {
				return nil // told to stop before it was ready
			}
			return err
		}
		if l.secure {
			return server.ServeTLS(l, security.listener())
		}
		return server.Serve(l)
	}, func() {
		late, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		_ = server.Stop(late) // what ran late has been cut off, which is all there is to do
	})
}

// openDir opens the data directory, and the operations port. A fresh directory
// needs to know first which cluster it is going to belong to, which may take as long
// as others take to let this member in: probes are answered meanwhile. Otherwise the
// directory comes first, for two servers on one are to learn of that.
func openDir(ctx context.Context, f actors.Fresh, c *config.Config, operate *operations) (*actors.DataDir, []tree.Member, error) {
	id, members := f.Wanted, f.Founders
	if !actors.Founded(c.DataDir) {
		err := operate.open()
		if err == nil {
			id, members, err = actors.Enlist(ctx, f)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	operate.waits.Store(waitsForParts)
	dir, err := actors.OpenDataDir(c.DataDir, id, claim(c, f.Wanted))
	if err != nil {
		return nil, nil, err
	}
	if dir.Identity.Removed {
		err = fmt.Errorf("data directory %s: %w", c.DataDir, actors.ErrRemoved)
	} else {
		err = operate.open()
	}
	if err != nil {
		return nil, nil, errors.Join(err, dir.Close())
	}
	return dir, members, nil
}
