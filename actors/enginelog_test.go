package actors_test

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"copse/actors"

	"github.com/lni/dragonboat/v4/logger"
)

// pages keep what is logged.
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

// oldPebble is how a library that uses the standard logger looks from there.
type oldPebble struct{}

func (oldPebble) Infof(format string, args ...any)  { log.Printf(format, args...) }
func (oldPebble) Fatalf(format string, args ...any) { oldPebble{}.Infof(format, args...) }

func TestTheEnginesMessagesComeInOurForm(t *testing.T) {
	p := &pages{}
	level := new(slog.LevelVar)
	level.Set(slog.LevelDebug)
	actors.UseLogger(slog.New(slog.NewTextHandler(p, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	defer actors.UseLogger(nil)
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
		{"errors are errors", func() { raft.Errorf("lost") }, `level=ERROR msg=lost component=raft`},
		{"the old Pebble's news", func() { oldPebble{}.Infof("[JOB %d] flushed", 3) }, `level=DEBUG msg="[JOB 3] flushed" component=logdb`},
		{"the old Pebble's last words", func() { oldPebble{}.Fatalf("disk is gone") }, `level=ERROR msg="disk is gone" component=logdb`},
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
			t.Error("a panic of the engine's returns")
		}
	}()
	raft.Panicf("broken")
}
