package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

// Exit codes of copse lock itself, as other programs that run a command have them; all
// others are the command's.
const (
	exitNoLock   = 125 // it can't be had, or was lost
	exitNoRun    = 126
	exitNotFound = 127
	exitSignal   = 128 // plus the number of the signal that ended the command
)

var errLost = errors.New("the lock is lost")

// lease is a key that is held.
type lease struct {
	client *v2.Client
	key    string
	id     string // the key's value, which nobody else has
	ttl    time.Duration
	index  uint64    // at which it was taken: it only rises from holder to holder
	until  time.Time // when it may expire, by this machine's clock

	// While it is waited for:
	held bool  // another has had it when it was last asked for
	why  error // the last failure to ask
	said bool  // that there was one
}

// lockLimit bounds --ttl, in seconds: a year.
const lockLimit = 365 * 24 * 60 * 60

func (t *tool) lock(ctx context.Context, args *cli.Lock) error {
	if args.TTL < 2 || args.TTL > lockLimit {
		return usage("--ttl must be at least 2 seconds, as the lock is refreshed in between, and at most %d", lockLimit)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	l := &lease{client: t.client, key: args.Key, ttl: time.Duration(args.TTL) * time.Second, id: fmt.Sprintf("%s %d %s", host, os.Getpid(), rand.Text())}
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if args.Wait > 0 {
		waiting, cancel = context.WithTimeout(ctx, args.Wait)
	}
	err = l.take(waiting, t)
	late := errors.Is(waiting.Err(), context.DeadlineExceeded)
	cancel()
	if err != nil {
		l.release(ctx) // a request may still have been carried out
		if late {
			err = l.late(args.Wait)
		}
		return &exit{exitNoLock, fmt.Sprintf("no lock on %s: %v", args.Key, err)}
	}
	code, err := t.runLocked(ctx, l, args.Command)
	if failed := l.release(ctx); failed != nil && !errors.Is(err, errLost) {
		fmt.Fprintf(t.Err, "%s isn't released, and expires in %v: %v\n", args.Key, l.ttl, failed)
	}
	if err != nil {
		return &exit{code, err.Error()}
	}
	return &exit{code: code}
}

// runLocked runs the command while the lock is kept, and returns its exit code.
func (t *tool) runLocked(ctx context.Context, l *lease, command []string) (code int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	// What the command has started ends with it. On a terminal it stays in this group, so that
	// it can read what is typed, and is interrupted from there.
	apart := !isTerminal(t.In)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: apart}
	end := func(signal syscall.Signal) error {
		if apart {
			return syscall.Kill(-c.Process.Pid, signal)
		}
		return c.Process.Signal(signal)
	}
	c.Cancel = func() error { return end(syscall.SIGTERM) }
	c.WaitDelay = l.ttl / 8 // then it is killed
	c.Env = append(slices.Clone(t.Environ), "COPSE_LOCK_KEY="+l.key, "COPSE_LOCK_INDEX="+strconv.FormatUint(l.index, 10))
	c.Stdin, c.Stdout, c.Stderr = t.In, raw(t.Out), t.Err
	var keeper sync.WaitGroup
	keeper.Go(func() { cancel(l.keep(ctx)) })
	err = c.Run()
	if ctx.Err() != nil && c.Process != nil {
		_ = end(syscall.SIGKILL) // what is left of it, if anything
	}
	lost := errors.Is(context.Cause(ctx), errLost)
	cancel(nil)
	keeper.Wait()
	ended, ran := errors.AsType[*exec.ExitError](err)
	switch {
	case lost:
		return exitNoLock, fmt.Errorf("%w, so %s was ended", errLost, command[0])
	case c.ProcessState != nil && !ran:
		return c.ProcessState.ExitCode(), nil
	case ran && ended.Exited():
		return ended.ExitCode(), nil
	case ran:
		status, _ := ended.Sys().(syscall.WaitStatus)
		return exitSignal + int(status.Signal()), nil
	case errors.Is(err, exec.ErrNotFound):
		return exitNotFound, err
	}
	return exitNoRun, err
}

// late says why the lock wasn't had in time.
func (l *lease) late(wait time.Duration) error {
	switch {
	case l.why != nil:
		return fmt.Errorf("not within %v: %w", wait, l.why)
	case l.held:
		return fmt.Errorf("another has had it for %v", wait)
	}
	return fmt.Errorf("no server has answered within %v", wait)
}

// take waits for the lock.
func (l *lease) take(ctx context.Context, t *tool) error {
	told := false
	for {
		began := time.Now()
		r, err := l.change(ctx, v2.Change{Method: http.MethodPut, PrevExist: new(false), Value: &l.id})
		switch {
		case err == nil:
			l.index, l.until = r.Node.Created, began.Add(l.ttl)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case v2.Code(err) == v2.CodeExists:
			mine, err := l.await(ctx, t, &told)
			if err != nil || mine {
				return err
			}
		case !retried(err):
			return err
		default: // it may have been taken: the next round finds out
			if err := l.again(ctx, t, err); err != nil {
				return err
			}
		}
	}
}

// again turns an error that may pass, or a change meanwhile, into a pause. It says the first.
func (l *lease) again(ctx context.Context, t *tool, err error) error {
	switch code := v2.Code(err); {
	case ctx.Err() != nil:
		return ctx.Err()
	case code == v2.CodeOutdated || code == v2.CodeNotFound || code == v2.CodeCompare:
		return nil
	case !retried(err):
		return err
	}
	l.why = err
	if !l.said {
		fmt.Fprintf(t.Err, "No lock on %s yet, and it is tried again: %v\n", l.key, err)
		l.said = true
	}
	return pause(ctx, time.Second)
}

// retried reports whether an error may pass: no leader, or no answer.
func retried(err error) bool {
	e, ok := errors.AsType[*v2.Error](err)
	return !errors.Is(err, v2.ErrForeign) && (!ok || e.Status >= http.StatusInternalServerError)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// await waits until the key is gone. The lock may be mine already, by a request whose
// answer was lost.
func (l *lease) await(ctx context.Context, t *tool, told *bool) (mine bool, err error) {
	r, err := l.client.Get(ctx, l.key, v2.ReadOptions{Quorum: true})
	switch {
	case v2.Code(err) == v2.CodeNotFound:
		return false, nil
	case err != nil:
		return false, l.again(ctx, t, err)
	case r.Node.Dir:
		return false, fmt.Errorf("%s is a directory", l.key)
	case r.Node.Value == l.id:
		l.index = r.Node.Created
		if err := l.refresh(ctx); err != nil {
			return false, l.again(ctx, t, err)
		}
		return true, nil
	}
	l.held, l.why = true, nil
	if !*told && isTerminal(t.Err) {
		fmt.Fprintf(t.Err, "Waiting for %s, which is held by %q.\n", l.key, r.Node.Value)
		*told = true
	}
	w := l.client.Watch(l.key, r.Index, false)
	for {
		event, err := w.Next(ctx)
		switch {
		case err != nil:
			return false, l.again(ctx, t, err)
		case event.Action == "delete" || event.Action == "expire" || event.Action == "compareAndDelete":
			return false, nil
		}
	}
}

// refresh puts off the expiration.
func (l *lease) refresh(ctx context.Context) error {
	began := time.Now()
	_, err := l.change(ctx, v2.Change{Method: http.MethodPut, PrevExist: new(true), PrevValue: l.id, Refresh: true})
	if err == nil {
		l.until = began.Add(l.ttl)
	}
	return err
}

// change is about the key, for a third of its life at most.
func (l *lease) change(ctx context.Context, change v2.Change) (*v2.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, l.ttl/3)
	defer cancel()
	change.Key, change.TTL = l.key, int64(l.ttl/time.Second)
	return l.client.Change(ctx, change)
}

// keep refreshes the lock until ctx is done. It returns errLost when another has it, or will
// soon: a quarter of its life is left to end the command.
func (l *lease) keep(ctx context.Context) error {
	for next := l.ttl / 3; ; {
		if pause(ctx, next) != nil {
			return nil
		}
		end := l.until.Add(-l.ttl / 4)
		limited, cancel := context.WithDeadline(ctx, end)
		err := l.refresh(limited)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			next = l.ttl / 3
		case v2.Code(err) == v2.CodeCompare, v2.Code(err) == v2.CodeNotFound, !time.Now().Before(end):
			return errLost
		default:
			next = min(time.Second, time.Until(end))
		}
	}
}

const releaseLimit = 2 * time.Second

// release removes the key if it still is this lease's, even when ctx is done.
func (l *lease) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	_, err := l.client.Change(ctx, v2.Change{Method: http.MethodDelete, Key: l.key, PrevValue: l.id})
	return err
}
