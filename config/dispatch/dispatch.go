package dispatch

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strings"

	"copse/actors"
	"copse/config"
	"copse/config/command"
	"copse/httpfront/client"
	"copse/httpfront/client/commands"
	"copse/statemachine/tree"
)

// Run carries out work, unless its command is serve, and returns the exit code.
func Run(ctx context.Context, work *command.Work, environ []string, stdout, stderr io.Writer) int {
	c := &work.Config
	server := client.Server{URL: work.Server, Files: files(c)}
	password := client.Password{File: c.Options.PasswordFile, Environ: environ}
	operands := c.Options.Operands
	if line := c.Options.Line; line != nil {
		return runClient(ctx, line, commands.Streams{In: os.Stdin, Out: stdout, Err: stderr, Environ: environ})
	}
	switch work.Command {
	case "health":
		return client.Health(ctx, client.Question{Server: server, Timeout: c.Options.Timeout, Quiet: c.Options.Quiet}, stdout, stderr)
	case "auth init":
		return client.InitAuth(ctx, server, password, stdout, stderr)
	case "backup":
		b := client.Backup{Server: server, Password: password, Stale: c.Options.Stale, Quiet: c.Options.Quiet}
		return client.SaveBackup(ctx, &b, operands[0], stdout, stderr)
	case "mirror status":
		return client.MirrorStatus(ctx, &client.Mirror{Server: server, Password: password, JSON: c.Options.JSON}, stdout, stderr)
	case "mirror promote":
		m := c.Options.Mirror
		return client.PromoteMirror(ctx, &client.Mirror{Server: server, Password: password, Force: m.Force, Hold: m.HoldLimit, Margin: m.IndexMargin}, stdout, stderr)
	case "verify":
		return client.Verify(ctx, operands[0], stdout, stderr)
	case "inspect":
		return client.Inspect(operands[0], stdout, stderr)
	case "diff":
		return client.Diff(ctx, client.Differ{Server: server, Password: password}, [2]string(operands), stdout, stderr)
	case "import":
		return report(takeOver(ctx, work, password, stdout, stderr), stderr)
	case "restore":
		return report(restore(work, stdout), stderr)
	case "export":
		return report(export(c.DataDir, operands[0], stdout), stderr)
	case "raftlog inspect":
		return report(actors.InspectLog(c.DataDir, stdout), stderr)
	case "raftlog cut":
		return report(actors.CutLog(c.DataDir, operands[0], stdout), stderr)
	}
	return report(fmt.Errorf("unknown command %q", work.Command), stderr)
}

// report prints the error of a command, in one line, and returns the exit code.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, strings.ReplaceAll(err.Error(), "\n", "; "))
	return ExitCode(err)
}

// ExitCode is that of a member's error, or of a command's.
func ExitCode(err error) int {
	if code := importCode(err); code != 0 {
		return code
	}
	return [...]int{config.ExitFailed, config.ExitUsage, config.ExitLocked, config.ExitNewer, config.ExitCorrupt, config.ExitPartial}[actors.ReasonOf(err)]
}

func restore(work *command.Work, stdout io.Writer) error {
	c := &work.Config
	if c.Options.Restore.IfEmpty && actors.Founded(c.DataDir) { // the file may be gone
		_, err := fmt.Fprintf(stdout, "%s has data already, and stays as it is\n", c.DataDir)
		return err
	}
	file := os.Stdin
	if name := c.Options.Operands[0]; name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return err
		}
		defer file.Close()
	}
	return restoreFrom(file, work, c.Options.Restore.Resume, stdout)
}

func restoreFrom(file io.Reader, work *command.Work, resume bool, stdout io.Writer) error {
	c := &work.Config
	done, err := actors.Restore(file, actors.RestoreOptions{
		Dir: c.DataDir, HostName: work.Hostname, Cluster: actors.ClusterOptions(c.Cluster()),
		Bump: tree.Index(c.BumpIndex), Resume: resume, NewClusterID: c.Options.Restore.NewClusterID, Extend: c.Options.Restore.TTL,
	})
	if err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "restored %s: %d nodes of %s at index %d\n  cluster %x, member %x, shards %d, index %d, term above %d\n  %d nodes are overdue and expire when the cluster serves\n",
		c.DataDir, done.Nodes, done.Time.Format("2006-01-02 15:04:05Z"), done.Header.Index, done.Cluster, done.Member, done.Shards, done.Index, done.Term, done.Expired)
	return err
}

// export writes the tree of a stopped member.
func export(dir, name string, stdout io.Writer) (err error) {
	var incomplete error
	write := func(w io.Writer) error {
		rest, err := actors.Export(dir)
		if err != nil {
			return err
		}
		defer rest.Close()
		incomplete = rest.Incomplete
		for more := true; more; {
			var part []byte
			if part, more, err = rest.Next(); err != nil {
				return err
			}
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return nil
	}
	if name == "-" {
		err = write(stdout)
	} else {
		err = client.WriteFile(name, write)
	}
	if err != nil {
		return err
	}
	return incomplete
}

// SourceTLS loads the TLS towards the source of a mirror.
func SourceTLS(c *config.Config) func() (*tls.Config, error) {
	return client.Files{Cert: c.MirrorTLS.Cert, Key: c.MirrorTLS.Key, CA: c.MirrorTLS.CA}.TLS
}

// files returns the files of a client for https.
func files(c *config.Config) client.Files {
	return client.Files{Cert: c.ClientTLS.Cert, Key: c.ClientTLS.Key, CA: c.ClientTLS.CA}
}
