package actors_test

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"copse/actors"
	"copse/actors/disk"
	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// oneDisk is a device whose free space the test sets.
type oneDisk struct{ free atomic.Uint64 }

func (d *oneDisk) Space() (free, size uint64, err error) { return d.free.Load(), 1000, nil }
func (d *oneDisk) Probe() error                          { return nil }
func (d *oneDisk) Close()                                {}

func TestBelowTheReserveWhatGrowsIsRefused(t *testing.T) {
	d := &oneDisk{}
	d.free.Store(1000)
	w := disk.NewWatchOf(d, disk.Options{Reserve: 100, Logger: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- w.Run() }()
	defer func() {
		w.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	n := startNode(t, t.TempDir(), freeAddress(t), func(o *actors.MemberOptions) { o.Disk = w })
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
	d.free.Store(99)
	eventually(t, func() bool { return w.CheckReserve() != nil })
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
	if out, err := n.ChangeAuth(&auth.Change{Op: auth.PutUser, Name: auth.Root, Hash: "h"}); err != nil || out.Refused() {
		t.Errorf("a change of users: %v, %+v", err, out)
	}
	if out, _, _, err := n.Get(nil, tree.Query{Key: "/a", Quorum: true}); err != nil || !strings.Contains(string(out), `"value":"v"`) {
		t.Errorf("a read: %v %s", err, out)
	}
	if got := (<-s.notices).Action; got != tree.ActionExpire {
		t.Errorf("the watch got %v", got)
	}
	d.free.Store(125)
	eventually(t, func() bool { return w.CheckReserve() == nil })
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
