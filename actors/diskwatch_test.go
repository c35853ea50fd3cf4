package actors_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"copse/actors"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
	"copse/statemachine/tree"
)

// disk is one whose free space the test says, look by look.
type disk struct {
	*actors.DiskWatch
	looks chan func() (uint64, error)
}

func newDisk(t *testing.T, reserve, free uint64) *disk {
	t.Helper()
	d := &disk{looks: make(chan func() (uint64, error), 1)}
	d.looks <- func() (uint64, error) { return free, nil }
	stop := make(chan struct{})
	d.DiskWatch = actors.NewDiskWatch(actors.DiskOptions{
		Dir: t.TempDir(), Reserve: reserve, Logger: slog.New(slog.DiscardHandler), Every: time.Millisecond,
		Probe: func() error { return nil },
		Space: func(string) (uint64, uint64, error) {
			select {
			case look := <-d.looks:
				free, err := look()
				return free, 1000, err
			case <-stop:
				return 0, 0, errors.New("stopped")
			}
		},
	})
	d.looks = make(chan func() (uint64, error)) // from here on, a look waits for the test
	done := make(chan error, 1)
	go func() { done <- d.Run() }()
	t.Cleanup(func() {
		close(stop)
		d.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

// see has the watch look at so much free space, or fail to.
func (d *disk) see(free uint64, err error) {
	look := func() (uint64, error) { return free, err }
	d.looks <- look
	d.looks <- look // taken once the first has been dealt with
}

func TestTheReserveIsHeldWithSomeSlack(t *testing.T) {
	d := newDisk(t, 100, 99)
	if d.Admit(1) {
		t.Error("the first look came too late")
	}
	for _, step := range []struct {
		free uint64
		err  error
		full bool
	}{
		{100, nil, true}, {124, nil, true}, {125, nil, false}, {100, nil, false}, {99, nil, true},
		{0, errors.New("no such disk"), true}, {500, nil, false}, {0, errors.New("no such disk"), false},
	} {
		d.see(step.free, step.err)
		if d.Admit(1) == step.full || (d.CheckReserve() != nil) != step.full {
			t.Fatalf("at %d, %v: admitted: %v, and the check says %v", step.free, step.err, d.Admit(1), d.CheckReserve())
		}
	}
}

func TestNoReserveIsNeverBreached(t *testing.T) {
	if d := newDisk(t, 0, 0); !d.Admit(1) || d.CheckReserve() != nil {
		t.Error("full without a reserve")
	}
	if !(*actors.DiskWatch)(nil).Admit(1) {
		t.Error("full without a watch")
	}
}

func TestWritesThatMayTakeTheLastOfTheSpaceHaveItLookedAt(t *testing.T) {
	looks := make(chan struct{}, 1000)
	const reserve, free = 1 << 30, 1<<30 + 800<<20
	d := actors.NewDiskWatch(actors.DiskOptions{
		Reserve: reserve, Logger: slog.New(slog.DiscardHandler), Every: time.Hour,
		Probe: func() error { return nil },
		Space: func(string) (uint64, uint64, error) {
			looks <- struct{}{}
			return free, 2 * free, nil
		},
	})
	done := make(chan error, 1)
	go func() { done <- d.Run() }()
	<-looks // the first
	for range 99 {
		if !d.Admit(1 << 20) { // which may take 8 MiB
			t.Fatal("refused")
		}
	}
	if n := len(looks); n > 0 {
		t.Errorf("%d looks while there is space", n)
	}
	d.Admit(1<<20 + 1)
	d.Admit(1 << 20)
	<-looks
	d.Stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestADiskThatStandsStillIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan error)
		d := actors.NewDiskWatch(actors.DiskOptions{
			Logger: slog.New(slog.DiscardHandler),
			Space:  func(string) (uint64, uint64, error) { return 1, 1, nil },
			Probe:  func() error { return <-answer },
		})
		done := make(chan error, 1)
		go func() { done <- d.Run() }()
		time.Sleep(29 * time.Second)
		if err := d.CheckAlive(); err != nil {
			t.Errorf("after 29 s: %v", err)
		}
		time.Sleep(2 * time.Second)
		if err := d.CheckAlive(); err == nil || !strings.Contains(err.Error(), "31s") {
			t.Errorf("after 31 s: %v", err)
		}
		answer <- nil
		synctest.Wait()
		if err := d.CheckAlive(); err != nil {
			t.Errorf("when it goes on: %v", err)
		}
		time.Sleep(10 * time.Second)
		answer <- errors.New("gone")
		synctest.Wait()
		go d.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		var w metric.Writer
		d.WriteMetrics(&w)
		s, err := metrictest.Parse(w.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := s.Value("copse_fsync_duration_seconds_count"); n != 1 {
			t.Errorf("%v syncs", n)
		}
		if n, _ := s.Value("copse_fsync_failed_total"); n != 1 {
			t.Errorf("%v failed syncs", n)
		}
	})
}

func TestTheRealDiskIsProbed(t *testing.T) {
	dir := t.TempDir()
	d := actors.NewDiskWatch(actors.DiskOptions{Dir: dir, Logger: slog.New(slog.DiscardHandler), Every: time.Millisecond})
	done := make(chan error, 1)
	go func() { done <- d.Run() }()
	count := func() float64 {
		var w metric.Writer
		d.WriteMetrics(&w)
		s, err := metrictest.Parse(w.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		free, _ := s.Value("copse_disk_free_bytes")
		size, _ := s.Value("copse_disk_size_bytes")
		if free <= 0 || size < free {
			t.Fatalf("%v of %v bytes are free", free, size)
		}
		n, _ := s.Value("copse_fsync_duration_seconds_count")
		return n
	}
	eventually(t, func() bool { return count() >= 3 })
	d.Stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "disk-probe")); err != nil || info.Size() != 4096 {
		t.Errorf("the probe's file: %v, %v", info, err)
	}
}

func TestBelowTheReserveWhatGrowsIsRefused(t *testing.T) {
	d := newDisk(t, 100, 1000)
	n := startNode(t, t.TempDir(), freeAddress(t), func(o *actors.NodeOptions) { o.Disk = d.DiskWatch })
	now := time.Now()
	command := func(op tree.Op, key string, more func(*tree.Command)) *tree.Command {
		c := &tree.Command{Op: op, Key: key, Value: []byte("v"), Now: now.UnixNano()}
		if more != nil {
			more(c)
		}
		return c
	}
	for _, key := range []string{"/a", "/b", "/c", "/soon"} {
		c := command(tree.OpSet, key, nil)
		if key == "/soon" {
			c.Expires = time.Now().Add(time.Second).UnixNano()
		}
		if r := n.Do(c); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	s := newEars()
	if _, err := n.Watch(&tree.Watch{Key: "/soon", Sink: s}); err != nil {
		t.Fatal(err)
	}
	d.see(99, nil)
	value := func(c *tree.Command) { c.PrevValue = "v" }
	growing := []*tree.Command{
		command(tree.OpSet, "/a", nil), command(tree.OpCreate, "/d", nil), command(tree.OpCreateInOrder, "/q", nil),
		command(tree.OpUpdate, "/a", nil), command(tree.OpCompareAndSwap, "/a", value),
	}
	for _, c := range growing {
		if r := n.Do(c); r.Err == nil || r.Err.Code != tree.CodeRaftInternal || !strings.Contains(r.Err.Cause, "no space") {
			t.Errorf("operation %d: %v %s", c.Op, r.Err, r.JSON)
		}
	}
	for _, c := range []*tree.Command{command(tree.OpDelete, "/b", nil), command(tree.OpCompareAndDelete, "/c", value)} {
		if r := n.Do(c); r.Err != nil {
			t.Errorf("operation %d: %v", c.Op, r.Err)
		}
	}
	if out, _, _, err := n.Get(nil, tree.Query{Key: "/a", Quorum: true}); err != nil || !strings.Contains(string(out), `"value":"v"`) {
		t.Errorf("a read: %v %s", err, out)
	}
	if got := (<-s.notices).Action; got != tree.ActionExpire {
		t.Errorf("the watch got %v", got)
	}
	d.see(125, nil)
	for _, c := range growing {
		if r := n.Do(c); r.Err != nil {
			t.Errorf("with space again, operation %d: %v", c.Op, r.Err)
		}
	}
	scrape := n.scrape(t)
	if got, _ := scrape.Value("copse_raft_proposals_total", "result", "no_space"); got != 5 {
		t.Errorf("%v refused for want of space", got)
	}
}
