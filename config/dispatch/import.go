package dispatch

import (
	"errors"
	"fmt"
	"io"

	"copse/actors/importer"
	"copse/config"
	"copse/config/command"
	"copse/statemachine/etcddir"
)

// takeOver imports data directories of etcd: into a file, or into a data directory.
func takeOver(work *command.Work, stdout, stderr io.Writer) error {
	c, o := &work.Config, importer.Options{Import: importer.Import(work.Config.Options.Import)}
	switch {
	case o.Out != "" || o.DryRun:
	case !c.Given("data-dir") || len(c.InitialCluster) > 1:
		return fmt.Errorf("%w needs --data-dir, for a cluster of one member, or --out FILE, which each member of several takes with copse restore --resume, or --dry-run", importer.ErrUsage)
	default:
		o.Beside = c.DataDir
		o.Use = func(file io.Reader) error { return restoreFrom(file, work, true, stdout) }
	}
	return importer.Run(c.Options.Operands, o, stdout, stderr)
}

// importCode is the exit code of an error that only an import has; 0 for others.
func importCode(err error) int {
	for _, kind := range []struct {
		err  error
		code int
	}{
		{importer.ErrUsage, config.ExitUsage}, {etcddir.ErrNoData, config.ExitUsage}, {etcddir.ErrClusters, config.ExitUsage}, {etcddir.ErrOld, config.ExitUsage},
		{etcddir.ErrDamaged, config.ExitCorrupt},
		{importer.ErrPartial, config.ExitPartial},
	} {
		if errors.Is(err, kind.err) {
			return kind.code
		}
	}
	return 0
}
