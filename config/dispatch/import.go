package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"

	"copse/actors/importer"
	"copse/config"
	"copse/config/command"
	"copse/httpfront/client"
	"copse/httpfront/login"
	"copse/statemachine/dump"
	"copse/statemachine/etcddir"
)

// takeOver imports what an etcd has: into a file, or into a data directory.
func takeOver(ctx context.Context, work *command.Work, password client.Password, stdout, stderr io.Writer) error {
	c, o := &work.Config, importer.Options{Import: importer.Import(work.Config.Options.Import)}
	switch {
	case o.Out != "" || o.DryRun:
	case !c.Given("data-dir") || len(c.InitialCluster) > 1:
		return fmt.Errorf("%w needs --data-dir, for a cluster of one member, or --out FILE, which each member of several takes with copse restore --resume, or --dry-run", importer.ErrUsage)
	default:
		o.Beside = c.DataDir
		o.Use = func(file io.Reader) error { return restoreFrom(file, work, true, stdout) }
	}
	if err := ask(ctx, &o, c, password); err != nil {
		return err
	}
	return importer.Run(ctx, c.Options.Operands, o, stdout, stderr)
}

// ask prepares to ask a running etcd.
func ask(ctx context.Context, o *importer.Options, c *config.Config, password client.Password) (err error) {
	o.Hash = login.Hash
	for i := range o.From {
		server := client.Server{URL: &o.From[i], Files: files(c)}
		if password.Given() {
			if err := server.MayHearSecrets(); err != nil {
				return fmt.Errorf("%w: %s: %w", importer.ErrUsage, server.URL.Redacted(), err)
			}
		}
		if o.Security == nil {
			if o.Security, err = server.Security(); err != nil {
				return err
			}
		}
	}
	if len(o.From) > 0 && password.Given() {
		o.Password, err = password.Read(ctx)
	}
	return err
}

// importCode is the exit code of an error that only an import has; 0 for others.
func importCode(err error) int {
	for _, kind := range []struct {
		err  error
		code int
	}{
		{importer.ErrUsage, config.ExitUsage}, {etcddir.ErrNoData, config.ExitUsage}, {etcddir.ErrClusters, config.ExitUsage}, {etcddir.ErrOld, config.ExitUsage},
		{etcddir.ErrDamaged, config.ExitCorrupt}, {dump.ErrForm, config.ExitCorrupt},
		{importer.ErrPartial, config.ExitPartial},
	} {
		if errors.Is(err, kind.err) {
			return kind.code
		}
	}
	return 0
}
