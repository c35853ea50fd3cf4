package peer_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"copse/bench/peer"

	"go.uber.org/goleak"
)

// child, if set in the environment, makes the test binary start a server, print
// its process id, and wait to be killed.
const child = "PEER_TEST_CHILD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(child); kind != "" {
		s, err := peer.Launch(peer.Kind(kind), peer.Options{Dir: os.Getenv(child + "_DIR")})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.PID())
		_, _ = io.Copy(io.Discard, os.Stdin) // until somebody kills us
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var kinds = []peer.Kind{peer.Copse, peer.Etcd34, peer.Etcd35}

func TestRestartKeepsData(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			peer.EachShards(t, kind, func(t *testing.T, shards int) { restart(t, kind, shards) })
		})
	}
}

func restart(t *testing.T, kind peer.Kind, shards int) {
	s := peer.Start(t, kind, peer.Sharded(kind, shards)...)
	got := do(t, http.MethodPut, s.URL+"/v2/keys/a?value=1")
	first := `"modifiedIndex":4,`
	if shards > 1 {
		first = `"modifiedIndex":` // the probe was refused, and may have taken one
	}
	if !strings.Contains(got, first) {
		t.Errorf("the first key of a fresh server: %s", got)
	}
	for _, end := range []struct {
		name string
		stop func() error
	}{
		{"killed", func() error { s.Kill(); return nil }},
		{"stopped", s.Stop},
		{"neither", func() error { return nil }},
	} {
		pid := s.PID()
		if err := end.stop(); err != nil {
			t.Fatalf("%s: %v", end.name, err)
		}
		if err := s.Restart(); err != nil {
			t.Fatalf("%s: %v", end.name, err)
		}
		if s.PID() == pid {
			t.Errorf("%s: the process is still the same", end.name)
		}
		if got := do(t, http.MethodGet, s.URL+"/v2/keys/a"); !strings.Contains(got, `"value":"1"`) {
			t.Errorf("%s: after the restart: %s", end.name, got)
		}
	}
}

func do(t *testing.T, method, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestNoServerIsLeft kills a process that runs a server; the server must go
// with it.
func TestNoServerIsLeft(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), child+"="+string(peer.Etcd34), child+"_DIR="+t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(line)
	}
	if !runs(pid) {
		t.Fatalf("no server %d", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(30 * time.Second); runs(pid); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("server %d is still there", pid)
		}
	}
}

// runs reports whether a process exists and is more than an entry that its
// new parent has not collected yet.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// TestLaunchTellsWhy expects the server's own message when it doesn't start.
func TestLaunchTellsWhy(t *testing.T) {
	_, err := peer.Launch(peer.Etcd34, peer.Options{Args: []string{"--no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("got %v", err)
	}
}

func TestVariantOfCopse(t *testing.T) {
	s := peer.Start(t, "copse+no_such_tag")
	if !s.Kind.IsCopse() || peer.Etcd35.IsCopse() {
		t.Errorf("%s is copse: %v", s.Kind, s.Kind.IsCopse())
	}
	if got := do(t, http.MethodPut, s.URL+"/v2/keys/a?value=1"); !strings.Contains(got, `"modifiedIndex":4,`) {
		t.Errorf("the first key of a fresh server: %s", got)
	}
}

func TestUnknownKind(t *testing.T) {
	if _, err := peer.Launch("zookeeper", peer.Options{}); err == nil {
		t.Error("launched")
	}
}

// A port is given once, whatever process picks it: the kernel knows of the claim.
func TestAPortIsGivenOnce(t *testing.T) {
	pick := func() string {
		list, err := peer.FreePorts(rand.New(rand.NewPCG(5, 5)), 1)
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	first, second := pick(), pick()
	if first == second {
		t.Errorf("%s is given twice", first)
	}
	_, port, _ := strings.Cut(first, ":")
	if claim, err := net.Listen("unix", "@copse-bench-port-"+port); err == nil {
		_ = claim.Close()
		t.Errorf("another process can claim port %s", port)
	}
}
