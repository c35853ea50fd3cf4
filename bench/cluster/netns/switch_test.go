package netns_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"copse/bench/cluster/netns"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newSwitch(t *testing.T, n int) *netns.Switch {
	t.Helper()
	s, err := netns.New(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// reach tries to connect from one namespace to another, where nothing
// listens: a refusal proves that packets arrive in both directions. It waits for long
// where one is expected, as the machine may be busy.
func reach(t *testing.T, s *netns.Switch, from, to int, expected bool) bool {
	t.Helper()
	patience := 300 * time.Millisecond
	if expected {
		patience = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := s.Dial(from)(ctx, "tcp", s.Address(to)+":9")
	if err == nil {
		c.Close()
		t.Fatal("somebody listens")
	}
	return strings.Contains(err.Error(), "refused")
}

func TestSwitchCutsAndHeals(t *testing.T) {
	s := newSwitch(t, 3)
	expect := func(when string, cut map[[2]int]bool) {
		t.Helper()
		for from := range 3 {
			for to := range 3 {
				if want := !cut[[2]int{from, to}]; from != to && reach(t, s, from, to, want) != want {
					t.Errorf("%s: %d reaches %d: %v", when, from, to, !want)
				}
			}
		}
	}
	expect("at first", nil)
	if err := s.Cut(0, 1); err != nil {
		t.Fatal(err)
	}
	// Cut one way, neither end gets an answer from the other.
	expect("cut", map[[2]int]bool{{0, 1}: true, {1, 0}: true})
	if err := s.Heal(); err != nil {
		t.Fatal(err)
	}
	expect("healed", nil)
}

func TestSwitchSlowsAndLoses(t *testing.T) {
	s := newSwitch(t, 2)
	if err := errors.Join(s.Slow(0, 50_000, 500), s.Lose(1, 100)); err != nil {
		t.Fatal(err)
	}
	if reach(t, s, 0, 1, false) {
		t.Error("all packets are lost, and it answers")
	}
	if err := s.Heal(); err != nil {
		t.Fatal(err)
	}
	if !reach(t, s, 0, 1, true) {
		t.Error("healed, but it doesn't answer")
	}
}

func TestDialGoesToTheNamespacesLoopback(t *testing.T) {
	s := newSwitch(t, 1)
	line := append(s.Prefix(0), "ip", "-o", "-4", "addr")
	if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil || !strings.Contains(string(out), s.Address(0)) {
		t.Fatalf("%v: %s", err, out)
	}
	here, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if c, err := s.Dial(0)(t.Context(), "tcp", here.Addr().String()); err == nil {
		c.Close()
		t.Error("reached the machine's own loopback")
	}
	// And this thread is back in its own namespace.
	for range 20 {
		c, err := net.Dial("tcp", here.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := here.Accept()
		if err != nil {
			t.Fatal(err)
		}
		peer.Close()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		c.Close()
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	s, err := netns.New(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir("/run/netns")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name.Name(), fmt.Sprintf("copse-%d-", os.Getpid())) {
			t.Errorf("%s is still there", name.Name())
		}
	}
}
