package datadir_test

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/actors/datadir"
	"copse/actors/raftlog"

	"github.com/lni/dragonboat/v4"
	raft "github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftpb"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// engineFile is a small file as dragonboat writes it: half an MD5, the content.
func engineFile(content string) string {
	sum := md5.Sum([]byte(content))
	return string(sum[8:]) + content
}

// pinnedDir makes a data directory whose log is under the host name "box1", as
// dragonboat leaves it.
func pinnedDir(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	d := openDir(t, path, identity())
	write(t, filepath.Join(d.RaftDir(), "box1", "00000000000000000001", "logdb-0", "000001.log"), "the log")
	write(t, filepath.Join(d.RaftDir(), "dragonboat.ds"), engineFile("box1"))
	write(t, filepath.Join(d.RaftDir(), "NODEHOST.ID"), engineFile("id"))
	closeDir(t, d)
	return path
}

// checkLifted checks that the log is only under host, and no longer pinned.
func checkLifted(t *testing.T, d *datadir.Dir, host string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.RaftDir(), host, "00000000000000000001", "logdb-0", "000001.log"))
	if err != nil || string(b) != "the log" {
		t.Errorf("the log under %s: %q, %v", host, b, err)
	}
	if d.Identity.Host != host || d.Identity.MovingTo != "" {
		t.Errorf("identity %+v, want host %s", d.Identity, host)
	}
	logs, err := filepath.Glob(filepath.Join(d.RaftDir(), "*", "00000000000000000001", "logdb-0", "000001.log"))
	if err != nil || len(logs) != 1 {
		t.Errorf("logs %q, %v: want one", logs, err)
	}
}

func unpinned(t *testing.T, d *datadir.Dir) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(d.RaftDir(), "dragonboat.ds")); !os.IsNotExist(err) {
		t.Errorf("dragonboat.ds is still there: %v", err)
	}
}

func lift(t *testing.T, d *datadir.Dir, host string) {
	t.Helper()
	if err := d.LiftHostPin(host); err != nil {
		t.Fatalf("LiftHostPin(%s): %v", host, err)
	}
}

func TestSameHostKeepsItsPin(t *testing.T) {
	d := openDir(t, pinnedDir(t), identity())
	lift(t, d, "box1")
	checkLifted(t, d, "box1")
	if _, err := os.Lstat(filepath.Join(d.RaftDir(), "dragonboat.ds")); err != nil {
		t.Errorf("the pin of the same host is gone: %v", err)
	}
}

func TestFreshDirTakesAnyHost(t *testing.T) {
	path := t.TempDir()
	d := openDir(t, path, identity())
	lift(t, d, "box2")
	closeDir(t, d)
	if d = openDir(t, path, identity()); d.Identity.Host != "box2" {
		t.Errorf("host %q", d.Identity.Host)
	}
}

func TestOtherHostLiftsThePin(t *testing.T) {
	path := pinnedDir(t)
	d := openDir(t, path, identity())
	lift(t, d, "box2")
	checkLifted(t, d, "box2")
	unpinned(t, d)
	closeDir(t, d)
	d = openDir(t, path, identity())
	lift(t, d, "box1") // and back
	checkLifted(t, d, "box1")
}

// A crash between any two steps, then a start under each name with another crash
// between any two of its steps.
func TestLiftSurvivesCrashes(t *testing.T) {
	// crash runs the first n steps, as a separate process would, and reports
	// whether there were that many.
	crash := func(t *testing.T, path, host string, n int) bool {
		d := openDir(t, path, identity())
		defer closeDir(t, d)
		steps := d.LiftSteps(host)
		for _, step := range steps[:min(n, len(steps))] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		return n <= len(steps)
	}
	for first := 2; first <= 6; first++ { // the first two change nothing on disk here
		for second := 2; second <= 6; second++ {
			for _, between := range []string{"box1", "box2", "box3"} {
				for _, last := range []string{between, "box4"} {
					t.Run(fmt.Sprintf("%d_then_%s_%d_then_%s", first, between, second, last), func(t *testing.T) {
						path := pinnedDir(t)
						if !crash(t, path, "box2", first) {
							t.Fatal("no such step")
						}
						crash(t, path, between, second)
						d := openDir(t, path, identity())
						lift(t, d, last)
						checkLifted(t, d, last)
						if last == "box4" {
							unpinned(t, d)
						}
					})
				}
			}
		}
	}
}

func TestRefusedStartsLeftoverIsOutOfTheWay(t *testing.T) {
	t.Run("empty directories go", func(t *testing.T) {
		path := pinnedDir(t)
		if err := os.MkdirAll(filepath.Join(path, "raft", "box2", "00000000000000000001"), 0o700); err != nil {
			t.Fatal(err)
		}
		d := openDir(t, path, identity())
		lift(t, d, "box2")
		checkLifted(t, d, "box2")
		if len(d.Warnings) != 0 {
			t.Errorf("warnings %q", d.Warnings)
		}
	})
	t.Run("files are kept aside", func(t *testing.T) {
		path := pinnedDir(t)
		write(t, filepath.Join(path, "raft", "box2", "x"), "mine")
		write(t, filepath.Join(path, "raft", "box2.refused-1", "x"), "older")
		d := openDir(t, path, identity())
		lift(t, d, "box2")
		checkLifted(t, d, "box2")
		b, err := os.ReadFile(filepath.Join(path, "raft", "box2.refused-2", "x"))
		if string(b) != "mine" || err != nil || len(d.Warnings) != 1 {
			t.Errorf("%q, %v, warnings %q", b, err, d.Warnings)
		}
	})
}

func TestLostLogIsRefused(t *testing.T) {
	for _, host := range []string{"box1", "box2"} {
		path := pinnedDir(t)
		d := openDir(t, path, identity())
		if err := os.RemoveAll(filepath.Join(d.RaftDir(), "box1")); err != nil {
			t.Fatal(err)
		}
		if err := d.LiftHostPin(host); !errors.Is(err, datadir.ErrCorrupt) || !strings.Contains(err.Error(), "lost its raft log") {
			t.Errorf("on %s: %v", host, err)
		}
	}
}

func TestOddHostNamesAreRefused(t *testing.T) {
	d := openDir(t, pinnedDir(t), identity())
	for _, host := range []string{"", ".", "..", "a/b"} {
		if err := d.LiftHostPin(host); err == nil {
			t.Errorf("%q is accepted", host)
		}
	}
	lift(t, d, "box1")
	checkLifted(t, d, "box1")
}

func TestTornFilesGo(t *testing.T) {
	for _, torn := range []string{"", "1234567", engineFile("box1")[:11]} {
		d := openDir(t, pinnedDir(t), identity())
		for _, name := range []string{"dragonboat.ds", "NODEHOST.ID"} {
			write(t, filepath.Join(d.RaftDir(), name), torn)
		}
		lift(t, d, "box1")
		for _, name := range []string{"dragonboat.ds", "NODEHOST.ID"} {
			if _, err := os.Lstat(filepath.Join(d.RaftDir(), name)); !os.IsNotExist(err) {
				t.Errorf("%s with %q is still there: %v", name, torn, err)
			}
		}
	}
}

// freeAddress returns a TCP address that nobody listens on right now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dragonboat itself: a log pinned to another host is refused, and after the
// lift it is opened with what it holds.
func TestLiftLetsDragonboatIn(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	id := identity()
	id.Host = "elsewhere"
	d := openDir(t, t.TempDir(), id)
	port := freeAddress(t)
	nh, err := startDragonboat(d, port)
	if err != nil {
		t.Fatal(err)
	}
	create := func(uint64, uint64) sm.IStateMachine { return nothing{} }
	err = nh.StartReplica(map[uint64]dragonboat.Target{1: port}, false, create,
		raft.Config{ShardID: 1, ReplicaID: 1, HeartbeatRTT: 1, ElectionRTT: 10})
	if err != nil {
		t.Fatal(err)
	}
	nh.Close()

	pretend(t, d, here, id.Host)
	if nh, err = startDragonboat(d, port); err == nil {
		nh.Close()
		t.Fatal("dragonboat takes another host's log: the pin is gone, and LiftHostPin with it")
	}
	lift(t, d, here)
	if nh, err = startDragonboat(d, port); err != nil {
		t.Fatalf("after the lift: %v", err)
	}
	defer nh.Close()
	if !nh.HasNodeInfo(1, 1) {
		t.Error("the log is empty after the lift")
	}
	if len(d.Warnings) != 1 {
		t.Errorf("warnings %q: want one, of what the refused start left", d.Warnings)
	}
}

// pretend rewrites dragonboat's pin and renames its log.
func pretend(t *testing.T, d *datadir.Dir, here, elsewhere string) {
	t.Helper()
	pin := filepath.Join(d.RaftDir(), "dragonboat.ds")
	b, err := os.ReadFile(pin)
	if err != nil {
		t.Fatal(err)
	}
	var status raftpb.RaftDataStatus
	if err := status.Unmarshal(b[8:]); err != nil {
		t.Fatal(err)
	}
	if status.Hostname != here {
		t.Fatalf("pinned to %q, not to %q", status.Hostname, here)
	}
	status.Hostname = elsewhere
	if b, err = status.Marshal(); err != nil {
		t.Fatal(err)
	}
	write(t, pin, engineFile(string(b)))
	if err := os.Rename(filepath.Join(d.RaftDir(), here), filepath.Join(d.RaftDir(), elsewhere)); err != nil {
		t.Fatal(err)
	}
}

func startDragonboat(d *datadir.Dir, address string) (*dragonboat.NodeHost, error) {
	logdb := raft.GetTinyMemLogDBConfig()
	logdb.Shards = 1
	return dragonboat.NewNodeHost(raft.NodeHostConfig{
		NodeHostDir: d.RaftDir(), RTTMillisecond: 5, RaftAddress: address, DeploymentID: 7,
		Expert: raft.ExpertConfig{
			Engine: raft.EngineConfig{ExecShards: 1, CommitShards: 1, ApplyShards: 1, SnapshotShards: 1, CloseShards: 1},
			LogDB:  logdb,

			LogDBFactory: raftlog.New(raftlog.Options{Logger: slog.New(slog.DiscardHandler), Fatal: func(err error) { panic(err) }}),
		},
	})
}

// nothing is a state machine without state.
type nothing struct{}

func (nothing) Update(sm.Entry) (sm.Result, error) { return sm.Result{}, nil }
func (nothing) Lookup(any) (any, error)            { return nil, nil }
func (nothing) Close() error                       { return nil }
func (nothing) SaveSnapshot(w io.Writer, _ sm.ISnapshotFileCollection, _ <-chan struct{}) error {
	_, err := w.Write([]byte{1})
	return err
}
func (nothing) RecoverFromSnapshot(io.Reader, []sm.SnapshotFile, <-chan struct{}) error { return nil }
