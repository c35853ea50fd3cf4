package compat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"copse/bench/peer"
)

// A ctl runs etcdctl 3.4, which speaks v2, against one server.
type ctl struct {
	t      *testing.T
	binary string
	server *peer.Server
	normal normaliser
	caller caller
	ranks  *ranks // with several shards; nil: indexes are etcd's
}

func newCtl(t *testing.T, kind peer.Kind, shards int) *ctl {
	binary, err := peer.Etcdctl()
	if err != nil {
		t.Fatal(err)
	}
	return newCtlOf(t, binary, kind, shards)
}

// newCtlOf runs another program, which takes the same lines.
func newCtlOf(t *testing.T, binary string, kind peer.Kind, shards int) *ctl {
	s := peer.Start(t, kind, append(serverArgs("", kind), peer.Sharded(kind, shards)...)...)
	c := &ctl{t: t, binary: binary, server: s, normal: newNormaliser(s), caller: caller{address: s.Address}}
	t.Cleanup(c.caller.close)
	if shards > 1 && kind.IsCopse() {
		c.ranks = &ranks{}
		c.ranks.bind(founded, c.settle())
	}
	return c
}

// settle waits until the index of a server with several shards covers all that it
// has done, and returns it: a listing of the root waits for that.
func (c *ctl) settle() uint64 {
	c.t.Helper()
	h, _, err := c.caller.do(request{method: "HEAD", target: "/v2/keys/"})
	if err != nil {
		c.t.Fatal(err)
	}
	index, err := strconv.ParseUint(h.get("X-Etcd-Index"), 10, 64)
	if err != nil {
		c.t.Fatal(err)
	}
	return index
}

// local writes a command as this server has to be sent it.
func (c *ctl) local(line string) string {
	if c.ranks == nil {
		return line
	}
	c.settle()
	return c.ranks.request(line)
}

// ranked replaces the indexes in a command's output by the reference's indexes of the
// same rank.
func (c *ctl) ranked(want, got string) string {
	if c.ranks == nil {
		return got
	}
	return c.ranks.translate(want, got, false)
}

// command is a call of etcdctl as a user types it; quotes group words.
func (c *ctl) command(line string) *exec.Cmd {
	cmd := exec.Command(c.binary, append([]string{"--endpoints", c.server.URL}, words(line)...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ETCD") }), "ETCDCTL_API=2")
	return cmd
}

func words(line string) (out []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

// run returns the command's output and its exit code.
func (c *ctl) run(line, stdin string) string {
	c.t.Helper()
	cmd := c.command(line)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	out := stdout.String()
	if strings.HasPrefix(line, "ls") && !strings.Contains(line, "--sort") {
		lines := strings.SplitAfter(out, "\n")
		slices.Sort(lines)
		out = strings.Join(lines, "")
	}
	return c.normal.text(fmt.Sprintf("exit %d\n%s%s", cmd.ProcessState.ExitCode(), out, stderr.String()))
}

// watching starts a command that waits, makes the changes once it does, and
// returns its first lines of output.
func (c *ctl) watching(line string, lines int, changes ...string) string {
	c.t.Helper()
	before, err := c.caller.stats()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := c.command(line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // exec-watch has children
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	limit := time.AfterFunc(answerLimit, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer limit.Stop()
	c.awaitWatcher(before["watchers"])
	for _, change := range changes {
		c.run(change, "")
	}
	var out strings.Builder
	scanner := bufio.NewScanner(pipe)
	for i := 0; i < lines && scanner.Scan(); i++ {
		out.WriteString(scanner.Text() + "\n")
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait() // killed, or already ended
	c.awaitWatchers(before["watchers"])
	return c.normal.text(out.String())
}

// awaitWatcher waits until the server has one watcher more than n.
func (c *ctl) awaitWatcher(n int64) { c.awaitWatchers(n + 1) }

func (c *ctl) awaitWatchers(want int64) {
	c.t.Helper()
	for deadline := time.Now().Add(answerLimit); ; <-time.After(pollInterval) {
		stats, err := c.caller.stats()
		if err != nil {
			c.t.Fatal(err)
		}
		if stats["watchers"] == want {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s has %d watchers, want %d", c.server.Kind, stats["watchers"], want)
		}
	}
}

// etcdctlCalls are run in this order; each must print the same everywhere.
var etcdctlCalls = []string{
	"set /message Hello",
	"get /message",
	"-o extended get /message",
	"-o json get /message",
	"-o json get --quorum /message",
	"get /missing",
	"mk /message again",
	"mk /new value",
	"update /message 'Hello etcd'",
	"update /missing value",
	"-o json set /message third",
	"-o extended set /message fourth",
	"set --swap-with-value fourth /message fifth",
	"set --swap-with-value wrong /message sixth",
	"set --swap-with-index 1 /message sixth",
	"set --swap-with-index 9 /message sixth",
	"set /stdin",
	"set /unicode '<é€> & \"quotes\"'",
	"get /unicode",
	"mkdir /dir",
	"mkdir /dir",
	"setdir /dir",
	"setdir /other/deep",
	"mkdir --ttl 100 /short",
	"update /dir value",
	"set /dir value",
	"set /message/below value",
	"set --ttl 100 /ttl value",
	"-o json get /dir",
	"mk --in-order /queue Job1",
	"mk --in-order /queue Job2",
	"-o json mk --in-order /queue Job3",
	"ls",
	"ls /",
	"ls -p /",
	"ls -r /",
	"ls -r -p --sort /",
	"ls --sort --quorum /queue",
	"-o json ls --sort -r /",
	"-o extended ls --sort /",
	"ls /message",
	"ls /missing",
	"set /dir/_hidden value",
	"ls -r /dir",
	"get /dir/_hidden",
	"get /dir",
	"rmdir /dir",
	"rm /dir",
	"rm --dir /other/deep",
	"rmdir /other",
	"rm --recursive /dir",
	"rm --with-value wrong /message",
	"rm --with-index 1 /message",
	"rm --with-value sixth /message",
	"rm /missing",
	"-o json rm /new",
	"-o extended rm /unicode",
	"watch --after-index 3 /message",
	"watch --after-index 4 /message",
	"-o json watch --after-index 7 /message",
	"watch --recursive --after-index 3 /queue",
	"-o extended watch --recursive --after-index 3 /",
	"cluster-health",
	"member list",
	"member update",
	"member remove",
	"member nothing",
	"ls -r --sort /",
}

// directoryCalls need a server that can update directories.
var directoryCalls = []string{
	"mkdir /dir",
	"updatedir /dir",
	"updatedir --ttl 100 /dir",
	"updatedir /missing",
	"setdir --ttl 100 /dir",
	"set --ttl 100 /file value",
	"updatedir /file",
	"-o json get /dir",
}

func TestEtcdctl(t *testing.T) {
	t.Parallel()
	peer.EachShards(t, peer.Kind(*candidate), compareEtcdctl)
}

func compareEtcdctl(t *testing.T, shards int) {
	reference, other := newCtl(t, peer.Etcd34, 1), newCtl(t, peer.Kind(*candidate), shards)
	calls := etcdctlCalls
	if peer.Kind(*candidate) != peer.Etcd35 {
		calls = slices.Concat(calls, directoryCalls)
	}
	for _, line := range calls {
		const stdin = "from standard input\n"
		want, got := reference.run(line, stdin), other.run(other.local(line), stdin)
		got = other.ranked(want, got)
		if !same([]string{want}, []string{got}) {
			t.Errorf("etcdctl %s\ngot\n%s\nwant\n%s", line, got, want)
		}
	}
}

// etcdctlWatches are lines that wait, with what is changed meanwhile.
var etcdctlWatches = []struct {
	name    string
	line    string
	lines   int
	changes []string
}{
	{"one key", "watch /w", 1, []string{"set /other x", "set /w value"}},
	{"removal", "-o json watch /w", 1, []string{"rm /w"}},
	{"recursive, forever", "watch --recursive --forever /d", 4, []string{
		"set /d/a 1", "set /other x", "set /d/_h 2", "mkdir /d/dir", "mk --in-order /d/queue Job", "rm --recursive /d"}},
	{"in the future", "watch --after-index 15 /w", 1, []string{"set /w 1", "set /w 2", "set /w 3", "set /w 4"}},
	{"expiration", "-o extended watch --forever --recursive /e", 15, []string{"set --ttl 1 /e/k v"}},
	{"exec-watch", "exec-watch sh -c 'env | grep ETCD_WATCH | sort' /w", 4, []string{"set /w value"}},
	{"exec-watch, recursive", "exec-watch --recursive /d -- sh -c 'env | grep ETCD_WATCH | sort'", 4,
		[]string{"set /d/a/b value"}},
}

func TestEtcdctlWatch(t *testing.T) {
	t.Parallel()
	peer.EachShards(t, peer.Kind(*candidate), compareEtcdctlWatch)
}

func compareEtcdctlWatch(t *testing.T, shards int) {
	reference, other := newCtl(t, peer.Etcd34, 1), newCtl(t, peer.Kind(*candidate), shards)
	for _, w := range etcdctlWatches {
		if shards > 1 && w.name == "in the future" {
			continue // "shards-gaps": that can't be named
		}
		want := reference.watching(w.line, w.lines, w.changes...)
		got := other.ranked(want, other.watching(w.line, w.lines, w.changes...))
		if strings.Count(want, "\n") != w.lines || !same([]string{want}, []string{got}) {
			t.Errorf("%s: etcdctl %s\ngot\n%s\nwant\n%s", w.name, w.line, got, want)
		}
	}
}
