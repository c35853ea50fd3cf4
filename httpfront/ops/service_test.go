package ops

import (
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"copse/statemachine/metric"
)

// fakeParts are a member and a disk, with err as the answer to all checks.
type fakeParts struct{ err error }

func (h *fakeParts) CheckAlive() error    { return h.err }
func (h *fakeParts) CheckLeader() error   { return h.err }
func (h *fakeParts) CheckCaughtUp() error { return h.err }
func (h *fakeParts) CheckSame() error     { return h.err }
func (h *fakeParts) CheckReserve() error  { return h.err }
func (h *fakeParts) Summary() string      { return "two\nlines" }

// Each step is one message to the service manager, or none.
func TestAServiceManagerIsToldWhatIsNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	s := NewStatus()
	n, err := newService(s, []string{"NOTIFY_SOCKET=elsewhere", "NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=60000000"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer n.conn.Close()
	s.service.Store(n)
	h := &fakeParts{}
	hungry := func() { n.fed = time.Time{} }
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"at the start", func() { n.look() }, "STATUS=the member is starting\nWATCHDOG=1"},
		{"a moment later", func() { n.look() }, ""},
		{"a reload before it serves", func() { s.Reload(func() { n.send("the reload") }) }, "the reload"},
		{"it serves", func() { s.Watch(&Parts{Member: h, Disk: h, Metrics: []func(*metric.Writer){}}); s.Serving(); n.look() }, "READY=1\nSTATUS=two lines"},
		{"the watchdog is hungry", func() { hungry(); n.look() }, "WATCHDOG=1"},
		{"applying is stuck", func() { hungry(); h.err = errors.New("stuck"); n.look() }, ""},
		{"it goes on", func() { h.err = nil; n.look() }, "WATCHDOG=1"},
		{"it stops", func() { s.draining.Store(true); n.look() }, "STOPPING=1\nSTATUS=stopping"},
	} {
		step.do()
		n.send("end of step")
		buf := make([]byte, 1000)
		for _, want := range []string{step.want, "end of step"} {
			if want == "" {
				continue
			}
			size, err := manager.Read(buf)
			if err != nil || string(buf[:size]) != want {
				t.Fatalf("%s: told %q, want %q (%v)", step.what, buf[:size], want, err)
			}
		}
	}
}

func TestTheWatchdogIsForThisProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	for text, want := range map[string]time.Duration{"": 0, "x": 0, "-5": 0, "0": 0, "1500000": 1500 * time.Millisecond, "9223372036854775807": 24 * time.Hour} {
		n, err := newService(NewStatus(), []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=" + text}, slog.New(slog.DiscardHandler))
		if err != nil || n.watchdog != want {
			t.Fatalf("%q: %v, %v", text, n.watchdog, err)
		}
		n.conn.Close()
	}
	n, err := newService(NewStatus(), []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=5", "WATCHDOG_PID=1"}, slog.New(slog.DiscardHandler))
	if err != nil || n.watchdog != 0 {
		t.Errorf("another process's watchdog: %v, %v", n.watchdog, err)
	}
	n.conn.Close()
}
