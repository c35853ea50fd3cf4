package actors_test

import (
	"bytes"
	"fmt"
	"testing"

	"copse/actors/watch"
	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// A replica falls behind and gets a snapshot while clients watch it. The watchers see
// the missed events if the snapshot's event window holds them; otherwise they end.
func TestWatchersOutliveASnapshot(t *testing.T) {
	const window = 200
	open := func() *statemachine.Machine {
		m, err := statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: window, WindowBytes: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		return m
	}
	leader, lagging := open(), open()
	raftIndex := uint64(0)
	apply := func(c tree.Command, to ...*statemachine.Machine) {
		t.Helper()
		raftIndex++
		for _, m := range to {
			cmd := tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)
			if _, err := m.Update([]sm.Entry{{Index: raftIndex, Cmd: cmd}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	catchUp := func() {
		t.Helper()
		state, err := leader.PrepareSnapshot()
		if err != nil {
			t.Fatal(err)
		}
		var image bytes.Buffer
		if err := leader.SaveSnapshot(state, &image, nil); err != nil {
			t.Fatal(err)
		}
		if err := lagging.RecoverFromSnapshot(&image, nil); err != nil {
			t.Fatal(err)
		}
	}

	hub := watch.NewHub(watch.Options{Window: window, History: lagging.HistoryOf, Exists: lagging.Exists})
	lagging.Subscribe(func(news *statemachine.ApplyResult) { hub.Publish(news.Last, news.Events) })
	ran := make(chan error, 1)
	go func() { ran <- hub.Run() }()
	defer func() {
		hub.Stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	apply(tree.Command{Op: tree.OpSet, Key: "/live"}, leader, lagging)

	stream, quiet := newEars(), newEars()
	for key, sink := range map[string]tree.Sink{"/d": stream, "/nothing": quiet} {
		if err := hub.Watch(&tree.Watch{Key: key, Recursive: true, Stream: true, Since: 2, Sink: sink}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want tree.Index) {
		t.Helper()
		select {
		case n := <-stream.notices:
			if n.Index != want {
				t.Fatalf("told of %d, want %d", n.Index, want)
			}
		case <-stream.ended:
			t.Fatalf("ended before %d", want)
		}
	}
	// The window holds the missed events: 2 and 3 are delivered, then the live 5.
	apply(tree.Command{Op: tree.OpSet, Key: "/d/a"}, leader)
	apply(tree.Command{Op: tree.OpSet, Key: "/d/b"}, leader)
	apply(tree.Command{Op: tree.OpSet, Key: "/elsewhere"}, leader)
	catchUp()
	expect(2)
	expect(3)
	apply(tree.Command{Op: tree.OpSet, Key: "/d/c"}, leader, lagging)
	expect(5)

	// A snapshot without anything new delivers nothing.
	catchUp()

	// It missed more than the window holds.
	for i := range window + 100 {
		apply(tree.Command{Op: tree.OpSet, Key: fmt.Sprintf("/d/%d", i%9)}, leader)
	}
	catchUp()
	<-stream.ended
	<-quiet.ended
	if n := len(stream.notices); n > 0 {
		t.Errorf("%d events were told out of those that are gone", n)
	}

	// A client that comes back is told what it has missed, and served from then on.
	last := lagging.Index()
	if err := hub.Watch(&tree.Watch{Key: "/d", Recursive: true, Since: 6, Sink: newEars()}); err == nil || err.Code != tree.CodeEventIndexClosed {
		t.Errorf("a watch from before the window: %v", err)
	}
	stream = newEars()
	if err := hub.Watch(&tree.Watch{Key: "/d", Recursive: true, Stream: true, Since: last, Sink: stream}); err != nil {
		t.Fatal(err)
	}
	expect(last)
	apply(tree.Command{Op: tree.OpSet, Key: "/d/d"}, leader, lagging)
	expect(last + 1)
}
