package ops

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// service tells a service manager that speaks sd_notify(3), such as systemd, how the server
// is. A unit of etcd's, of Type=notify, waits for that.
type service struct {
	status   *Status
	conn     *net.UnixConn
	watchdog time.Duration // in which the manager wants to hear that the server lives; 0: never
	log      *slog.Logger
	failed   sync.Once

	// Owned by run.
	told     string // the last STATUS
	ready    bool
	stopping bool
	fed      time.Time // when the watchdog was last told
}

// servicePause is how often the status is looked at, unless the watchdog is faster.
const servicePause = time.Second

// TellService begins to tell the service manager, if the environment names one, how the
// server is, until stop is called. stop waits for the end of its goroutine.
func (s *Status) TellService(environ []string, log *slog.Logger) (stop func()) {
	n, err := newService(s, environ, log)
	if err != nil {
		log.Warn("the service manager isn't told how the server is", "component", "main", "err", err)
	}
	if n == nil {
		return func() {}
	}
	s.service.Store(n)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		n.run(end)
	}()
	return sync.OnceFunc(func() {
		s.service.Store(nil)
		close(end)
		<-done
	})
}

// newService returns nil if there is no service manager.
func newService(s *Status, environ []string, log *slog.Logger) (*service, error) {
	name := lookUp(environ, "NOTIFY_SOCKET")
	if name == "" {
		return nil, nil
	}
	if name[0] != '/' && name[0] != '@' {
		return nil, fmt.Errorf("NOTIFY_SOCKET is %s, which is no Unix socket", name)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"}) // @ is Go's sign for abstract names too
	if err != nil {
		return nil, err
	}
	n := &service{status: s, conn: conn, log: log}
	if pid := lookUp(environ, "WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		micros, _ := strconv.ParseInt(lookUp(environ, "WATCHDOG_USEC"), 10, 64) // without one: 0
		n.watchdog = time.Duration(max(0, min(micros, int64(24*time.Hour/time.Microsecond)))) * time.Microsecond
	}
	return n, nil
}

// lookUp returns the value of a variable; the last one counts.
func lookUp(environ []string, name string) (value string) {
	for _, v := range environ {
		if text, ok := strings.CutPrefix(v, name+"="); ok {
			value = text
		}
	}
	return value
}

func (n *service) run(end <-chan struct{}) {
	defer n.conn.Close()
	pause := servicePause
	if n.watchdog > 0 {
		pause = max(time.Millisecond, min(pause, n.watchdog/4))
	}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		n.look()
		select {
		case <-ticker.C:
		case <-n.status.news:
		case <-end:
			n.look()
			return
		}
	}
}

// look tells what is new.
func (n *service) look() {
	var lines []string
	if n.status.waits.Load() == nil && !n.ready {
		n.ready = true
		lines = append(lines, "READY=1")
	}
	if n.status.draining.Load() && !n.stopping {
		n.stopping = true
		lines = append(lines, "STOPPING=1")
	}
	if text := n.status.summary(); text != n.told {
		n.told = text
		lines = append(lines, "STATUS="+strings.ReplaceAll(text, "\n", " "))
	}
	// Half of the time leaves the manager room. A server that is stuck says nothing.
	if n.watchdog > 0 && time.Since(n.fed) >= n.watchdog/2-n.watchdog/8 && n.status.alive() {
		n.fed = time.Now()
		lines = append(lines, "WATCHDOG=1")
	}
	if len(lines) > 0 {
		n.send(lines...)
	}
}

// send sends one message. It waits for a busy manager, but not for long.
func (n *service) send(lines ...string) {
	err := n.conn.SetWriteDeadline(time.Now().Add(servicePause))
	if err == nil {
		_, err = n.conn.Write([]byte(strings.Join(lines, "\n")))
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		n.failed.Do(func() {
			n.log.Warn("the service manager can't be told how the server is; trying on", "component", "main", "err", err)
		})
	}
}

// Reload runs reload, and tells the service manager when it begins and ends.
func (s *Status) Reload(reload func()) {
	n := s.service.Load()
	if n == nil || s.waits.Load() != nil { // READY would be wrong
		reload()
		return
	}
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // Linux always has it
	n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
	reload()
	n.send("READY=1")
}

// summary is the server's state in a line for an operator.
func (s *Status) summary() string {
	if s.draining.Load() {
		return "stopping"
	}
	if why := s.waits.Load(); why != nil {
		return *why
	}
	if p := s.parts.Load(); p != nil {
		return p.Member.Summary()
	}
	return "serving"
}

// alive reports whether all is well with what /livez checks.
func (s *Status) alive() bool {
	ok, _ := s.Live().Answer("livez", nil)
	return ok
}
