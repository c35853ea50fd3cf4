package statemachine_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/statemachine"
	"copse/statemachine/tree"

	"github.com/cockroachdb/pebble/v2/vfs"
	sm "github.com/lni/dragonboat/v4/statemachine"
	"pgregory.net/rapid"
)

// Windows of names that nothing limits in a test.
var unlimited = statemachine.NameLimits{Events: 1 << 20, Bytes: 1 << 40, Names: 1 << 20, Total: 1 << 40}

const namesStride = 64 // so many events more than its limit may a window hold

var longName = strings.Repeat("n", 1025) // too long to have a window

// namedModel is a model with the settings of the windows of names, and where they began.
type namedModel struct {
	model
	clock tree.Clock
}

// ofName are the events that watchers of a name see, from an index on.
func (m *model) ofName(name string, from tree.Index) []tree.EncodedEvent {
	return slices.DeleteFunc(slices.Clone(m.notices), func(n tree.EncodedEvent) bool {
		return n.Index < from || n.Refresh || n.Key != name && !tree.Within(name, n.Key)
	})
}

// namedEntry draws a raft entry and has the model carry it out.
func (m *namedModel) namedEntry(t *rapid.T, raftIndex uint64) sm.Entry {
	if m.clock.Known() && rapid.IntRange(0, 9).Draw(t, "time passes") == 0 { // a new leader's clock may begin earlier
		m.clock.Time += int64(rapid.IntRange(-2, 100).Draw(t, "seconds")) * int64(time.Second)
	}
	list := make([]tree.Command, rapid.IntRange(1, 12).Draw(t, "commands"))
	for i := range list {
		draw := rapid.Uint32().Draw(t, "command")
		top := "/" + names[draw%5]
		if draw%64 == 63 {
			top = "/" + longName
		}
		c := tree.Command{Op: tree.OpSet, Key: top + "/" + names[draw>>8%3], Now: m.clock.Time}
		switch draw >> 16 % 10 {
		case 0:
			c = tree.Command{Op: tree.OpDelete, Key: top, Recursive: true, Now: c.Now}
		case 1:
			c.Op, c.Refresh, c.Expires = tree.OpUpdate, true, m.clock.Time+int64(time.Second)
		case 2:
			c = tree.Command{Op: tree.OpExpire, Key: "/", Limit: 4, Now: c.Now}
		case 3:
			c = tree.Command{Op: tree.OpCreateInOrder, Key: "/", Now: c.Now}
		case 4:
			c.Value = []byte(large)
		case 5:
			c.Expires = m.clock.Time + int64(draw>>24%3)*int64(time.Second)
		}
		list[i] = c
	}
	cmd := tree.AppendSubmission(tree.AppendBatchHead(nil, tree.BatchHead{Epoch: 1, Number: raftIndex, Submissions: 1, Clock: m.clock}), submissionID(replica, raftIndex), len(list))
	for i := range list {
		cmd = tree.AppendCommand(cmd, &list[i])
		c := list[i]
		m.clock.Receive(&c)
		m.apply(&c)
	}
	return sm.Entry{Index: raftIndex, Cmd: cmd}
}

// watchFrom reads as a watch of key does that begins at an index, in pages. It reports false if that is told 401.
func watchFrom(t rapid.TB, m *statemachine.Machine, key string, from tree.Index, page int) (events []tree.EncodedEvent, ok bool) {
	t.Helper()
	for {
		list, oldest, err := m.HistoryOf(key, from, page)
		if err != nil {
			t.Fatalf("history of %s from %d: %v", key, from, err)
		}
		if oldest > from {
			if len(events) > 0 {
				t.Fatalf("history of %s ends at %d", key, from)
			}
			return nil, false
		}
		if len(list) == 0 {
			return events, true
		}
		for _, e := range list {
			if e.Index < from {
				t.Fatalf("history of %s from %d has event %d", key, from, e.Index)
			}
			if from = e.Index + 1; e.Concerns(key, true) {
				events = append(events, e)
			}
		}
	}
}

func limits() *rapid.Generator[statemachine.NameLimits] {
	return rapid.Custom(func(t *rapid.T) statemachine.NameLimits {
		l := unlimited
		if rapid.IntRange(0, 9).Draw(t, "off") == 0 {
			return statemachine.NameLimits{}
		}
		if rapid.Bool().Draw(t, "few events") {
			l.Events = rapid.IntRange(1, 20).Draw(t, "events")
		}
		if rapid.Bool().Draw(t, "few bytes") {
			l.Bytes = int64(rapid.IntRange(1, 9000).Draw(t, "bytes"))
		}
		if rapid.Bool().Draw(t, "young") {
			l.Age = time.Duration(rapid.IntRange(1, 200).Draw(t, "age")) * time.Second
		}
		if rapid.Bool().Draw(t, "few names") {
			l.Names = rapid.IntRange(1, 8).Draw(t, "names")
		}
		if rapid.Bool().Draw(t, "few in all") {
			l.Total = int64(rapid.IntRange(1, 30000).Draw(t, "total"))
		}
		return l
	})
}

// topKeys are the keys of the names that watches are tried on.
var topKeys = []string{"/none", "/" + longName, "/a", "/b", "/ab", "/a!", "/_h"}

// checkWatches holds every watch within a name against the model, and returns the windows.
func checkWatches(t rapid.TB, m *statemachine.Machine, want *namedModel) (windows map[string]statemachine.NameWindow) {
	t.Helper()
	list, floor, err := m.NameWindows("", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	windows = map[string]statemachine.NameWindow{}
	for _, w := range list {
		windows["/"+w.Name] = w
	}
	for _, name := range topKeys {
		w, has := windows[name]
		if !has {
			w.Floor = floor
		}
		for from := tree.Index(1); from <= want.last+1; from++ {
			got, ok := watchFrom(t, m, name, from, 7)
			if reaches := from >= m.Floor() || w.Floor != 0 && from >= w.Floor; ok != reaches {
				t.Fatalf("a watch of %.20s from %d is served: %v; the windows begin at %d and %d", name, from, ok, w.Floor, m.Floor())
			}
			if wanted := want.ofName(name, from); ok && !sameNotices(got, wanted) {
				t.Fatalf("history of %.20s from %d: %s", name, from, difference(got, wanted))
			}
		}
	}
	return windows
}

// checkBounds checks that nothing is beyond the limits.
func checkBounds(t rapid.TB, m *statemachine.Machine, l statemachine.NameLimits) {
	t.Helper()
	list, floor, err := m.NameWindows("", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	sum := statemachine.NameTotals{Names: uint64(len(list)), Floor: floor}
	for i, w := range list {
		sum.Events += w.Events
		sum.Bytes += w.Bytes
		events, _, err := m.HistoryOf("/"+w.Name, w.Floor, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, e := range events {
			size += len(e.JSON)
		}
		if uint64(len(events)) != w.Events || uint64(size) != w.Bytes || events[len(events)-1].Index != w.Last || i > 0 && list[i-1].Name >= w.Name {
			t.Fatalf("%+v has %d events of %d bytes", w, len(events), size)
		}
		if w.Events > uint64(l.Events+namesStride) || w.Bytes > uint64(l.Bytes) || len(w.Name) > 1024 || l.Age != 0 && w.Age > l.Age+l.Age/16 {
			t.Fatalf("%+v is beyond %+v", w, l)
		}
	}
	if len(list) > l.Names || sum.Bytes > uint64(l.Total) || len(list) == 0 && l.Events == 0 && floor != 0 {
		t.Fatalf("%d windows of %d bytes are beyond %+v", len(list), sum.Bytes, l)
	}
	if got := m.NameTotals(); got != sum {
		t.Fatalf("in sum %+v, want %+v", got, sum)
	}
}

// checkKept checks that nothing has gone without need, where only a number of events has been a limit since index on.
func checkKept(t rapid.TB, m *statemachine.Machine, want *namedModel, l statemachine.NameLimits, windows map[string]statemachine.NameWindow, on tree.Index) {
	t.Helper()
	for _, name := range topKeys {
		since := want.ofName(name, on+1)
		if name == "/"+longName {
			continue
		}
		if w, has := windows[name]; has != (len(since) > 0) || has && len(want.ofName(name, max(on+1, w.Floor))) < min(l.Events, len(since)) {
			t.Fatalf("%s: of %d events there are kept: %+v", name, len(since), w)
		}
	}
}

// difference describes where two lists of events differ first.
func difference(got, want []tree.EncodedEvent) string {
	for i := range min(len(got), len(want)) {
		if !sameNotices(got[i:i+1], want[i:i+1]) {
			return fmt.Sprintf("event %d of %d is %d %.300s, want %d %.300s", i, len(want), got[i].Index, got[i].JSON, want[i].Index, want[i].JSON)
		}
	}
	return fmt.Sprintf("%d events, want %d", len(got), len(want))
}

// wrongName compares the windows of names that there are with the model, and says what is wrong.
func wrongName(m *statemachine.Machine, want *model) (wrong string, err error) {
	list, _, err := m.NameWindows("", 1<<20)
	for _, w := range list {
		key, got, oldest := "/"+w.Name, []tree.EncodedEvent(nil), w.Floor
		for from := w.Floor; from <= w.Last && oldest <= from; from = got[len(got)-1].Index + 1 {
			var part []tree.EncodedEvent
			if part, oldest, err = m.HistoryOf(key, from, 1<<20); err != nil || len(part) == 0 {
				return fmt.Sprintf("the history of %s ends at %d", key, from), err
			}
			got = append(got, part...)
		}
		if wanted := want.ofName(key, w.Floor); oldest > w.Floor || !sameNotices(got, wanted) {
			return fmt.Sprintf("history of %.20s from %d: %s", key, w.Floor, difference(got, wanted)), nil
		}
	}
	return "", err
}

func namedOptions(l statemachine.NameLimits) statemachine.Options {
	return statemachine.Options{Replica: replica, Window: 3, WindowBytes: 1 << 30, Names: l}
}

// namedRun is a machine that restarts, and a twin that doesn't unless its limits change.
type namedRun struct {
	*rapid.T
	limits    statemachine.NameLimits
	files     [2]vfs.FS
	machines  [2]*statemachine.Machine
	third     *statemachine.Machine // with limits of its own
	want      namedModel
	raftIndex uint64
	on        tree.Index // since when the windows of names are there, by these limits
	pure      bool       // they have had no other limits
	changed   int64      // the shard's time when the limits were changed
}

func (r *namedRun) open(i int) {
	r.machines[i] = mustOpen(r, namedOptions(r.limits), "/a", r.files[i])
}

func (r *namedRun) apply(entries int) {
	var list []sm.Entry
	for range entries {
		r.raftIndex++
		list = append(list, r.want.namedEntry(r.T, r.raftIndex))
	}
	for _, m := range []*statemachine.Machine{r.machines[1], r.third} {
		if _, err := m.Update(slices.Clone(list)); err != nil {
			r.Fatal(err)
		}
	}
	for len(list) > 0 {
		n := rapid.IntRange(1, len(list)).Draw(r.T, "update")
		if _, err := r.machines[0].Update(list[:n:n]); err != nil {
			r.Fatal(err)
		}
		if list = list[n:]; rapid.IntRange(0, 2).Draw(r.T, "restart") == 0 {
			mustClose(r, r.machines[0])
			r.open(0)
		}
	}
	if !bytes.Equal(dump(r, r.machines[0]), dump(r, r.machines[1])) {
		r.Fatal("the same log with restarts made another store")
	}
	for _, m := range []*statemachine.Machine{r.machines[0], r.third} {
		checkWatches(r, m, &r.want)
	}
	m, only := r.machines[0], r.limits
	bounds := r.limits
	if r.want.clock.Time-r.changed < int64(bounds.Age/16) {
		bounds.Age = 0 // nobody has looked yet
	}
	checkBounds(r, m, bounds)
	if only.Events = unlimited.Events; only == unlimited && r.pure {
		checkKept(r, m, &r.want, r.limits, checkWatches(r, m, &r.want), r.on)
	}
}

// change restarts both with other limits, or installs what a replica of other limits has.
func (r *namedRun) change() {
	before := r.limits
	snapshot := rapid.Bool().Draw(r.T, "snapshot")
	if r.limits = limits().Draw(r.T, "limits"); snapshot {
		before, r.limits = thirdLimits, before
	}
	for i := range r.machines {
		if snapshot {
			if err := r.machines[i].RecoverFromSnapshot(bytes.NewReader(dump(r, r.third)), nil); err != nil {
				r.Fatal(err)
			}
		} else {
			mustClose(r, r.machines[i])
			r.open(i)
		}
		checkWatches(r, r.machines[i], &r.want)
	}
	if !r.want.clock.Known() && rapid.Bool().Draw(r.T, "timed") {
		r.want.clock.Time = 1e18
	}
	r.on, r.pure, r.changed = r.want.last, before.Events == 0, r.want.clock.Time
	r.apply(1)
}

// thirdLimits are those of a replica that others get snapshots from.
var thirdLimits = statemachine.NameLimits{Events: 7, Bytes: 1 << 40, Age: 50 * time.Second, Names: 6, Total: 1 << 40}

func TestWindowsOfNamesAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &namedRun{T: rt, limits: limits().Draw(rt, "limits"), files: [2]vfs.FS{vfs.NewMem(), vfs.NewMem()}, pure: true}
		if rapid.Bool().Draw(rt, "timed") {
			r.want.clock.Time = 1e18
		}
		rt.Cleanup(func() { // also if rapid gives up halfway
			for _, m := range append(r.machines[:], r.third) {
				if m != nil {
					mustClose(rt, m)
				}
			}
		})
		r.third = mustOpen(rt, namedOptions(thirdLimits), "/a", vfs.NewMem())
		for i := range r.machines {
			r.open(i)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "stages") {
			if r.apply(rapid.IntRange(1, 15).Draw(rt, "entries")); rapid.Bool().Draw(rt, "change") {
				r.change()
			}
		}
	})
}
