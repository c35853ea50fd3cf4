package statemachine_test

import (
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

func TestAMachineThatAppliesIsBusy(t *testing.T) {
	m, err := statemachine.New(statemachine.Options{Dir: t.TempDir(), Replica: 1, Window: 10, WindowBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	var busy time.Duration
	m.Subscribe(func(*statemachine.ApplyResult) { busy = m.Measures().Busy() })
	due := time.Now().Add(-time.Minute)
	c := tree.Command{Op: tree.OpSet, Key: "/a", Now: due.UnixNano(), Expires: due.UnixNano()}
	cmd := tree.AppendCommand(tree.AppendBatch(nil, 1, 1), &c)
	if _, err := m.Update([]sm.Entry{{Index: 1, Cmd: cmd}, {Index: 2}}); err != nil {
		t.Fatal(err)
	}
	if busy <= 0 {
		t.Error("not busy in the middle of an update")
	}
	if err := m.Sync(); err != nil {
		t.Fatal(err)
	}
	ms := m.Measures()
	if ms.Busy() != 0 || ms.Apply.Count() != 1 || ms.Entries.Count() != 1 || ms.Sync.Count() != 1 {
		t.Errorf("busy for %v after %d updates and %d syncs", ms.Busy(), ms.Apply.Count(), ms.Sync.Count())
	}
	if lag := m.ExpiryLag(time.Now()); lag != 0 {
		t.Errorf("late by %v before anybody has asked what is due", lag)
	}
	if _, _, err := m.NextExpiry(); err != nil {
		t.Fatal(err)
	}
	if lag := m.ExpiryLag(due.Add(time.Second)); lag != time.Second {
		t.Errorf("late by %v, want 1s", lag)
	}
	if lag := m.ExpiryLag(due.Add(-time.Second)); lag != 0 {
		t.Errorf("late by %v before its time", lag)
	}
	if s, err := m.StoreMetrics(); err != nil || s.DiskBytes == 0 || s.MemTableBytes == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.StoreMetrics(); err == nil {
		t.Error("a closed store tells of itself")
	}
}
