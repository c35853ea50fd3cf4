package statemachine

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A store whose tables want to be compacted doesn't begin before it is open, and then
// does until it has caught up.
func TestCompactionsWaitForTheStoreToOpen(t *testing.T) {
	fs := vfs.NewMem()
	options := func() *pebble.Options { return storeOptions(fs, Options{}) }

	o := options()
	o.DisableAutomaticCompactions = true
	db, err := pebble.Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	for table := range 3 * o.L0CompactionThreshold {
		for key := range 10 {
			if err := db.Set(fmt.Appendf(nil, "key%d", key), fmt.Append(nil, table), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	s := newCompactionScheduler()
	o = options()
	o.Experimental.CompactionScheduler = s
	if db, err = pebble.Open("store", o); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if m := db.Metrics(); m.Compact.NumInProgress != 0 || m.Compact.Count != 0 {
		t.Errorf("the store compacted while it was opened: %d compactions are done and %d under way", m.Compact.Count, m.Compact.NumInProgress)
	}
	s.opened()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		m := db.Metrics()
		if m.Levels[0].TablesCount < int64(o.L0CompactionThreshold) && m.Compact.NumInProgress == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the store hasn't caught up:\n%v", m)
		}
	}
	// The next tables are taken in too, without anybody's asking.
	for table := range 3 * o.L0CompactionThreshold {
		if err := db.Set([]byte("key"), fmt.Append(nil, table), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); db.Metrics().Levels[0].TablesCount >= int64(o.L0CompactionThreshold); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the store doesn't keep up:\n%v", db.Metrics())
		}
	}
}
