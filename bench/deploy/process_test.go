package deploy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"copse/bench/peer"
)

// process is a member that runs on this machine.
type process struct {
	name, dir, binary        string
	client, peer, operations string // host:port
	cluster                  string
	running                  *run
}

// run is one run of a program, from its start to its end.
type run struct {
	handle *os.Process
	done   chan struct{} // closed after the end
	err    error         // then: how it ended
}

// startCluster runs a cluster of processes and waits until all are ready.
func startCluster(t *testing.T, size int) []*process {
	t.Helper()
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	members := make([]*process, size)
	var cluster []string
	for i := range members {
		ports := freePorts(t, 3)
		members[i] = &process{name: fmt.Sprintf("m%d", i+1), dir: t.TempDir(), binary: binary, client: ports[0], peer: ports[1], operations: ports[2]}
		cluster = append(cluster, members[i].name+"=http://"+members[i].peer)
	}
	for _, m := range members {
		m.cluster = strings.Join(cluster, ",")
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			m.kill()
			if t.Failed() {
				t.Logf("end of %s's log:\n%s", m.name, m.logTail())
			}
		})
	}
	for _, m := range members {
		if err := waitReady(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	return members
}

// freePorts are addresses of loopback below the range that the kernel gives to
// outgoing connections: a member has to find its port free when it comes back.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	const lowest, highest, tries = 10000, 32000, 100
	var free []string
	for range tries {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest)))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are known, so that they differ
		if free = append(free, l.Addr().String()); len(free) == n {
			return free
		}
	}
	t.Fatal("no free ports")
	return nil
}

func (m *process) Name() string       { return m.name }
func (m *process) Client() string     { return m.client }
func (m *process) Operations() string { return m.operations }

// Start starts the member, with settings from the environment alone, as a
// container would.
func (m *process) Start() error {
	log, err := os.OpenFile(m.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(m.binary)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{
		"COPSE_NAME=" + m.name,
		"COPSE_DATA_DIR=" + filepath.Join(m.dir, "data"),
		"COPSE_LISTEN_CLIENT_URLS=http://" + m.client,
		"COPSE_LISTEN_PEER_URLS=http://" + m.peer,
		"COPSE_LISTEN_METRICS_URLS=http://" + m.operations,
		"COPSE_INITIAL_CLUSTER=" + m.cluster,
	}
	m.running, err = startProcess(cmd)
	return err
}

// startProcess starts cmd so that it ends with this process. The kernel sends
// Pdeathsig when the thread dies that forked, so a goroutine keeps that thread
// for as long as the child lives.
func startProcess(cmd *exec.Cmd) (*run, error) {
	r := &run{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer close(r.done)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		r.handle = cmd.Process
		started <- nil
		r.err = cmd.Wait()
	}()
	return r, <-started
}

// Stop asks the member to end as an init system does, and wants it to end well.
func (m *process) Stop() error {
	if err := m.running.handle.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", m.name, err)
	}
	select {
	case <-m.running.done:
	case <-time.After(stopLimit):
		return fmt.Errorf("stop %s: it still runs after %v", m.name, stopLimit)
	}
	if m.running.err != nil {
		return fmt.Errorf("stop %s: %w", m.name, m.running.err)
	}
	return nil
}

func (m *process) kill() {
	if err := m.running.handle.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err) // it is ours
	}
	<-m.running.done
}

func (m *process) logFile() string { return filepath.Join(m.dir, "log") }

func (m *process) logTail() string {
	const limit = 4000
	log, err := os.ReadFile(m.logFile())
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-limit):])
}
