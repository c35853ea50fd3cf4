package shard

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
)

// A real state machine applies the logs of some simulated worlds and arrives at what the
// simulation assumed: the same outcomes, in the same epochs, at the same settled indexes.
func TestTheStateMachineSeesWhatTheWorldsDo(t *testing.T) {
	if slot := tree.Slot(simKey, simSlots); slot != 1 {
		t.Fatalf("%s lives in slot %d", simKey, slot)
	}
	batches, stale := 0, 0
	for seed := range uint64(30) {
		w := makeWorld(seed)
		w.play()
		if len(w.errs) > 0 {
			t.Fatalf("seed %d: %v", seed, w.errs)
		}
		batches += len(w.data.entries)
		stale += w.data.stale
		if err := w.replay(); err != nil {
			t.Fatalf("seed %d, sharded %v: %v", seed, w.sharded, err)
		}
	}
	if batches == 0 || stale == 0 {
		t.Errorf("%d batches, %d of them stale: too few", batches, stale)
	}
}

// replay applies the world's log as the replica of member 1 does.
func (w *world) replay() error {
	o := statemachine.Options{Dir: "/shard", Replica: 1, Window: 9, WindowBytes: 1 << 30, FS: vfs.NewMem()}
	if w.sharded {
		o.Slot, o.Slots = w.data.slot, simSlots
	}
	m, err := statemachine.New(o)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	var news *statemachine.ApplyResult
	m.Subscribe(func(n *statemachine.ApplyResult) { news = n })
	for i, e := range w.data.entries {
		if _, err := m.Update([]sm.Entry{{Index: uint64(i + 1), Cmd: e.cmd}}); err != nil {
			return err
		}
		want := w.data.news(1, i, i+1)
		for k := range news.Outcomes {
			if k >= len(want.Outcomes) {
				break
			}
			got, want := &news.Outcomes[k], &want.Outcomes[k]
			if err := sameReplies(got.Data, want.Data); err != nil {
				return fmt.Errorf("entry %d: %w", i+1, err)
			}
			got.Data, want.Data, got.RaftIndex, got.Late = nil, nil, 0, nil
		}
		if len(news.Outcomes)+len(want.Outcomes) > 0 && !reflect.DeepEqual(news.Outcomes, want.Outcomes) || !reflect.DeepEqual(news.Batches, want.Batches) ||
			news.Epoch != want.Epoch || w.sharded && news.Last != want.Last {
			return fmt.Errorf("entry %d:\n got %+v\nwant %+v", i+1, news, want)
		}
	}
	return nil
}

// sameReplies compares real replies with the world's, which are the numbers of the
// commands: the value of a set is its number, unless the value is large.
func sameReplies(got, want []byte) error {
	for len(want) > 0 {
		reply, rest, ok := statemachine.CutReply(got)
		if !ok {
			return fmt.Errorf("%d bytes of replies are missing", len(want))
		}
		var number uint64
		number, want = cutSimReply(want)
		value := fmt.Sprintf(`"key":"%s","value":"%d"`, simKey, number)
		if set := strings.Contains(string(reply.JSON), `"action":"set"`); set && len(reply.JSON) < 400 && !strings.Contains(string(reply.JSON), value) {
			return fmt.Errorf("%s answers %s", reply.JSON, value)
		}
		got = rest
	}
	if len(got) > 0 {
		return fmt.Errorf("%d bytes of replies too many", len(got))
	}
	return nil
}
