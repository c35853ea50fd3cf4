package peer

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startLimit = 30 * time.Second // how long a server may take until it serves
	stopLimit  = 30 * time.Second // how long a graceful stop may take
	portTries  = 5                // a free port may be gone before the server takes it
)

// Options may differ between two servers of one kind.
type Options struct {
	Dir  string   // holds data and log; empty: a temporary one, which Close removes
	Args []string // further flags, after ours, so that they win
	Env  []string // further NAME=value
	// Prefix is put before the program: a command that runs it elsewhere.
	Prefix []string
	// Dial connects to the server where it runs; nil is net.Dial.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Server is a running server process. Its methods are for one goroutine.
type Server struct {
	Kind    Kind
	Name    string // --name
	Address string // the client's host:port
	URL     string // the client's URL, without a trailing slash
	PeerURL string
	DataDir string
	LogFile string // standard output and standard error

	binary string
	place  Place
	opts   Options
	ours   bool // opts.Dir is a temporary directory of ours
	proc   *process
}

// Start runs a server for the length of a test. Whatever goes wrong ends the
// test; a failed one shows the end of the server's log.
func Start(tb testing.TB, kind Kind, args ...string) *Server {
	tb.Helper()
	s, err := Launch(kind, Options{Args: args})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("end of %s's log:\n%s", kind, s.LogTail())
		}
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Launch runs a server and returns once it has applied a write.
func Launch(kind Kind, opts Options) (*Server, error) {
	binary, err := Binary(kind)
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: kind, Name: "n1", binary: binary, opts: opts}
	if err := s.prepareDir(); err != nil {
		return nil, err
	}
	for range portTries {
		if err = s.pickPorts(); err != nil {
			break
		}
		if err = s.run(); err == nil {
			return s, nil
		}
	}
	err = fmt.Errorf("%w\n%s", err, s.LogTail())
	if s.ours {
		os.RemoveAll(s.opts.Dir)
	}
	return nil, err
}

func (s *Server) prepareDir() (err error) {
	if s.opts.Dir == "" {
		if s.opts.Dir, err = os.MkdirTemp("", "peer-"); err != nil {
			return err
		}
		s.ours = true
	}
	s.DataDir = filepath.Join(s.opts.Dir, "data")
	s.LogFile = filepath.Join(s.opts.Dir, "log")
	return nil
}

// PID is the id of the process that was started last.
func (s *Server) PID() int { return s.proc.handle.Pid }

// Done is closed when the process that was started last has ended.
func (s *Server) Done() <-chan struct{} { return s.proc.done }

// Exit is how the process that was started last has ended, once Done is closed:
// nil means exit code 0.
func (s *Server) Exit() error { return s.proc.exit }

// Kill ends the server as a crash would, and waits for the end.
func (s *Server) Kill() {
	if s.proc == nil {
		return // never started
	}
	_ = s.proc.signal(syscall.SIGKILL) // it may be dead already
	<-s.proc.done
}

// Stop asks the server to end and waits; one that does not is killed.
func (s *Server) Stop() error {
	if err := s.proc.signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", s.Kind, err)
	}
	select {
	case <-s.proc.done:
		return nil
	case <-time.After(stopLimit):
		s.Kill()
		return fmt.Errorf("%s did not stop within %v", s.Kind, stopLimit)
	}
}

// Restart starts the server again on the same data and ports, killing it first if it
// still runs, and returns once it has applied a write.
func (s *Server) Restart() error {
	s.Kill()
	return s.run()
}

// Close kills the server and removes its temporary directory.
func (s *Server) Close() error {
	s.Kill()
	if !s.ours {
		return nil
	}
	return os.RemoveAll(s.opts.Dir)
}

// LogTail returns the end of the server's log.
func (s *Server) LogTail() string {
	const limit = 4000
	log, err := os.ReadFile(s.LogFile)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-limit):])
}

// run starts the process and waits until it serves.
func (s *Server) run() error {
	proc, err := startProcess(s.command)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.Kind, err)
	}
	s.proc = proc
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		s.Kill()
		return fmt.Errorf("start %s: %w", s.Kind, err)
	}
	return nil
}

// command is the server's command line, the same for every kind.
func (s *Server) command() (*exec.Cmd, error) {
	args := []string{
		"--name=" + s.Name,
		"--data-dir=" + s.DataDir,
		"--listen-client-urls=" + s.URL,
		"--advertise-client-urls=" + s.URL,
		"--listen-peer-urls=" + s.PeerURL,
		"--initial-advertise-peer-urls=" + s.place.Advertise,
		"--initial-cluster=" + s.place.Cluster,
		"--initial-cluster-state=" + s.place.State,
		"--initial-cluster-token=" + s.place.Token,
	}
	if !s.Kind.IsCopse() {
		args = append(args, "--enable-v2=true", "--logger=zap", "--log-level=error")
	}
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	line := slices.Concat(s.opts.Prefix, []string{s.binary}, args, s.opts.Args)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = s.opts.Dir
	// etcd 3.4 refuses to start if a flag shadows a variable.
	inherited := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ETCD") })
	cmd.Env = append(inherited, s.opts.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, nil
}
