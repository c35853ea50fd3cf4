package raft

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/lni/dragonboat/v4/logger"
)

// pages collects log output.
type pages struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *pages) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *pages) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.text.Reset()
	return p.text.String()
}

func TestDragonboatsMessagesComeInOurForm(t *testing.T) {
	p := &pages{}
	level := new(slog.LevelVar)
	level.Set(slog.LevelDebug)
	useLogger(slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	defer useLogger(nil)
	raft, node := logger.GetLogger("raft"), logger.GetLogger("dragonboat")
	p.take()
	for _, c := range []struct {
		name string
		say  func()
		want string
	}{
		{"info is debug", func() { node.Infof("started %d", 1) }, `level=DEBUG msg="started 1" component=dragonboat`},
		{"raft's warnings are debug", func() { raft.Warningf("[f:1,l:5,t:2,c:5,a:5] [00001:00255] t2 became leader") },
			`level=DEBUG msg="[f:1,l:5,t:2,c:5,a:5] [00001:00255] t2 became leader" component=raft shard=1 node=ff`},
		{"other warnings are warnings", func() { node.Warningf("slow [1:2] [a:b] [") }, `level=WARN msg="slow [1:2] [a:b] [" component=dragonboat`},
		{"a late clock is said once", func() {
			for range 3 {
				node.Warningf("%s had %d LocalTick msgs in one batch", "[00001:00255]", 6)
			}
		}, `level=WARN msg="this machine is too busy for raft's clock; if it stays so, members lose their leader for no other reason" component=raft`},
		{"errors are errors", func() { raft.Errorf("lost") }, `level=ERROR msg=lost component=raft`},
	} {
		c.say()
		if got := strings.TrimSpace(p.take()); got != c.want {
			t.Errorf("%s: got %s want %s", c.name, got, c.want)
		}
	}
	level.Set(slog.LevelError)
	node.Warningf("not now")
	if got := p.take(); got != "" {
		t.Errorf("logged below the level: %s", got)
	}
	defer func() {
		if r := recover(); r == nil {
			t.Error("Panicf returned")
		}
	}()
	raft.Panicf("broken")
}

func TestDragonboatsPanicEndsTheProcessInOneLine(t *testing.T) {
	var reason error
	useLogger(nil)
	endWith(func(err error) { reason = err; runtime.Goexit() })
	defer fatal.Store(nil)
	returned := false
	var work sync.WaitGroup
	work.Go(func() {
		logger.GetLogger("rsm").Panicf("%s\nwith a stack\nof two lines", "the disk is gone")
		returned = true
	})
	work.Wait()
	if returned || reason == nil || reason.Error() != "raft: rsm: the disk is gone" {
		t.Errorf("returned %v, reason %v", returned, reason)
	}
}
