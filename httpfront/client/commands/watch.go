package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// watcher begins a watch that says when it is interrupted.
func (t *tool) watcher(from cli.From, key string, also ...string) *v2.Watcher {
	w := t.client.Watch(key, from.AfterIndex, from.Recursive, also...)
	said := false
	w.Interrupted = func(err error) {
		switch {
		case err == nil && said:
			fmt.Fprintln(t.Err, "The watch goes on; nothing was missed.")
		case err != nil && !said:
			fmt.Fprintf(t.Err, "The watch is interrupted, and is tried again: %v\n", err)
		}
		said = err != nil
	}
	return w
}

// nextFile waits for an event that isn't a directory's.
func (t *tool) nextFile(ctx context.Context, w *v2.Watcher) (*v2.Response, error) {
	for {
		r, err := w.Next(ctx)
		if gap, ok := errors.AsType[*v2.Gap](err); ok && w.Resumed() {
			fmt.Fprintf(t.Err, "Events from index %d on were missed while the watch was interrupted: read the keys again.\n", gap.Next)
		}
		if err != nil || !r.Node.Dir {
			return r, err
		}
	}
}

func (t *tool) watch(ctx context.Context, args *cli.Watch) error {
	if len(args.Keys) > 1 {
		switch own, err := t.client.WatchesSeveral(ctx); {
		case err != nil:
			return interrupted(ctx, err)
		case !own:
			return usage("this server isn't copse, or is an older one: it watches one key")
		}
	}
	w := t.watcher(args.From, args.Keys[0], args.Keys[1:]...)
	w.Raw = args.Raw
	for {
		r, err := t.nextFile(ctx, w)
		if err != nil {
			return interrupted(ctx, err)
		}
		if args.Recursive || len(args.Keys) > 1 {
			fmt.Fprintf(t.Out, "[%s] %s\n", r.Action, t.paint(bold, r.Node.Key))
		}
		if err := t.printKey(r); err != nil || !args.Forever {
			return err
		}
	}
}

// interrupted is the end by a signal.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &exit{code: 0}
	}
	return err
}

// killDelay is how long the command of an exec-watch has to end when that is interrupted.
const killDelay = 5 * time.Second

func (t *tool) execWatch(ctx context.Context, args *cli.ExecWatch) error {
	words := args.Words
	if len(words) < 2 {
		return usage("a key and a command are needed: copse exec-watch KEY -- COMMAND")
	}
	key, command := words[len(words)-1], words[:len(words)-1]
	if i := slices.Index(words, "--"); i == 1 {
		key, command = words[0], words[2:]
	}
	if len(command) == 0 {
		return usage("a command is needed behind the --")
	}
	w := t.watcher(args.From, key)
	for {
		r, err := t.nextFile(ctx, w)
		if err != nil {
			return interrupted(ctx, err)
		}
		c := exec.CommandContext(ctx, command[0], command[1:]...)
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
		c.WaitDelay = t.killDelay
		c.Env = append(slices.Clone(t.Environ), "ETCD_WATCH_ACTION="+r.Action, "ETCD_WATCH_KEY="+r.Node.Key,
			"ETCD_WATCH_VALUE="+r.Node.Value, "ETCD_WATCH_MODIFIED_INDEX="+strconv.FormatUint(r.Node.Modified, 10))
		c.Stdout, c.Stderr = raw(t.Out), t.Err
		if err := c.Run(); err != nil && ctx.Err() == nil {
			if _, ran := errors.AsType[*exec.ExitError](err); !ran {
				return usage("%v", err)
			}
		}
	}
}
