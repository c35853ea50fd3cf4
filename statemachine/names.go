package statemachine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"copse/statemachine/tree"
)

// NameLimits ask for a window of events for each top-level name, beside the one of the whole
// tree: what happens below other names doesn't empty it. With no Events there are none; else all
// but Age have to be above 0.
//
// Only events that watchers see are kept, without refreshes. Which are kept follows from the log
// and the limits alone, so replicas with the same limits keep the same.
type NameLimits struct {
	Events int           // of a name; so many are kept if the other limits allow, and some more
	Bytes  int64         // of a name, as JSON
	Age    time.Duration // of an event, by the shard's clock; 0: any
	Names  int           // names that have a window; others get none until one of theirs has become empty
	Total  int64         // bytes of all of them, as JSON; beyond it, the largest windows are halved
}

func (l *NameLimits) on() bool { return l.Events > 0 }

func (l *NameLimits) check() error {
	if l.Events < 0 || l.on() && (l.Bytes <= 0 || l.Age < 0 || l.Names <= 0 || l.Total <= 0) {
		return fmt.Errorf("event windows of names, limited by %+v: they must be above 0", *l)
	}
	return nil
}

// longestName is the length of the longest name that gets a window, as the names are kept in memory.
const longestName = 1 << 10

// agesChecked is how many times in their age events are looked for that are too old.
const agesChecked = 16

// nameWindow describes the window of one name. It has one event at least.
type nameWindow struct {
	name   string
	floor  tree.Index // no event from here on is missing
	last   tree.Index // of the latest event
	events uint64
	bytes  uint64 // of the events as JSON
	since  int64  // the shard's time when the oldest event was recorded; 0: before the clock was known

	changed bool // since it was stored
	record  int  // position in nameWindows.records, counted from 1; 0: none
}

// nameWindows are the windows of one shard's names. The apply worker owns them.
//
// A name without a window has had no event from floor on: floor rises with each event that isn't
// recorded, and above each window that becomes empty.
type nameWindows struct {
	limits  NameLimits
	stored  bool // there are some in the store, by these limits or others
	adopted bool // they are within the limits
	changed bool // since they were stored

	of    map[string]*nameWindow
	floor tree.Index
	upTo  tree.Index // the tree's index when they were stored
	swept int64      // the shard's time when old events were looked for

	events, bytes uint64       // in sum
	records       []nameRecord // being built
	touched       []*nameWindow
}

// adoptNames makes what was found in the store fit the limits, which may be new. Another version
// of copse, or none with these windows, may have applied entries since: then it begins anew.
func (v *view) adoptNames() {
	n := v.events.names
	if n.adopted {
		return
	}
	n.adopted = true
	if n.stored && (!n.limits.on() || n.upTo != v.meta.last) {
		v.emptyNames()
		n.stored = false
	}
	if !n.limits.on() {
		return
	}
	if !n.stored {
		n.of, n.floor, n.stored, n.changed = make(map[string]*nameWindow), v.meta.last+1, true, true
		return
	}
	all := slices.SortedFunc(maps.Values(n.of), func(a, b *nameWindow) int { return cmp.Compare(a.last, b.last) })
	for i, w := range all {
		if len(all)-i > n.limits.Names {
			v.trimName(w, func(*nameHead) bool { return true })
		} else {
			v.limitName(w)
		}
	}
	v.limitTotal()
}

// emptyNames removes the windows of all names: they begin after the latest index.
func (v *view) emptyNames() {
	n := v.events.names
	if !n.stored {
		return
	}
	v.must(v.batch.DeleteRange([]byte{nameWindowPrefix}, []byte{nameWindowPrefix + 1}, nil))
	v.must(v.batch.DeleteRange([]byte{nameEventPrefix}, []byte{nameEventPrefix + 1}, nil))
	clear(n.of)
	n.floor, n.events, n.bytes, n.changed = v.meta.last+1, 0, 0, true
}

// recordName adds an event, whose JSON has size bytes, to the window of its name.
func (v *view) recordName(e *tree.Event, size int) {
	n := v.events.names
	if !n.limits.on() || e.Refresh {
		return
	}
	name := tree.TopName(e.Node.Key)
	w := n.of[name]
	values := e.Node.Len() + e.Prev.Len()
	if v.events.copied+values > copiedLimit {
		v.skipName(w, e.Index())
		return
	}
	v.events.copied += values
	if w == nil {
		if len(n.of) >= n.limits.Names || len(name) > longestName || name == "" {
			n.floor, n.changed = e.Index()+1, true
			return
		}
		w = &nameWindow{name: strings.Clone(name), floor: n.floor, since: v.meta.clock.Time}
		n.of[w.name] = w
	}
	w.last = e.Index()
	w.events++
	w.bytes += uint64(size)
	n.events++
	n.bytes += uint64(size)
	n.touch(w)
	r := n.recordOf(w)
	r.add(e, size)
	r.events++
}

// copiedLimit is how many bytes of values one raft entry copies into the windows of names. A record of one has
// the values themselves, and an entry may remove more of them than a batch of the store takes.
const copiedLimit = 64 << 20

// skipName leaves out the event at an index: the window of its name, if there is one, begins anew behind it.
func (v *view) skipName(w *nameWindow, at tree.Index) {
	n := v.events.names
	if w == nil {
		n.floor, n.changed = at+1, true
		return
	}
	n.touch(w)
	v.must(v.batch.DeleteRange(appendNameEventKey(nil, w.name, 0), appendNameEventKey(nil, w.name, maxIndex), nil))
	n.events, n.bytes = n.events-w.events, n.bytes-w.bytes
	if w.record != 0 {
		n.records[w.record-1].window = nil
	}
	w.floor = at + 1
	v.dropName(w)
}

// dropName forgets a window without events.
func (v *view) dropName(w *nameWindow) {
	n := v.events.names
	n.floor = max(n.floor, w.floor)
	delete(n.of, w.name)
	v.key = appendNameKey(v.key[:0], w.name)
	v.must(v.batch.Delete(v.key, nil))
}

// touch notes that w has changed.
func (n *nameWindows) touch(w *nameWindow) {
	if n.changed = true; !w.changed {
		w.changed = true
		n.touched = append(n.touched, w)
	}
}

// limitNames removes what is too old or, in sum, too large after a raft entry.
func (v *view) limitNames() {
	v.events.copied = 0
	if v.events.names.limits.on() {
		v.limitAge()
		v.limitTotal()
	}
}

// limitName removes the oldest events of a window that is too large, by itself.
func (v *view) limitName(w *nameWindow) {
	l := &v.events.names.limits
	events := window{events: l.Events, bytes: uint64(l.Bytes)}
	large := w.bytes > events.bytes
	if large || w.events >= uint64(l.Events)+uint64(events.trimStride()) {
		v.trimName(w, func(oldest *nameHead) bool {
			return w.events-oldest.events >= uint64(l.Events) || large && w.bytes > events.trimBytes()
		})
	}
}

// limitAge removes the events that are too old, now and then.
func (v *view) limitAge() {
	n, now := v.events.names, v.meta.clock.Time
	age, since := int64(n.limits.Age), now-n.swept // below 0: a new leader's clock began earlier
	if age == 0 || 0 <= since && since < age/agesChecked {
		return
	}
	n.swept, n.changed = now, true
	for _, w := range n.of { // in any order: what is removed doesn't depend on it
		if w.since == 0 {
			w.since = now
			n.touch(w)
		}
		if w.since <= now-age {
			v.trimName(w, func(oldest *nameHead) bool {
				return max(oldest.since, w.since) <= now-age
			})
		}
	}
}

// limitTotal halves the largest windows until all of them together are small enough.
func (v *view) limitTotal() {
	n := v.events.names
	total := window{bytes: uint64(n.limits.Total)}
	if n.bytes <= total.bytes {
		return
	}
	for n.bytes > total.trimBytes() {
		all := slices.SortedFunc(maps.Values(n.of), func(a, b *nameWindow) int {
			return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.last, b.last))
		})
		for _, w := range all {
			if half := w.bytes / 2; n.bytes > total.trimBytes() {
				v.trimName(w, func(*nameHead) bool { return w.bytes > half })
			}
		}
	}
}

// trimName removes the oldest records of a window as long as outdated says so. A window that
// becomes empty is dropped.
func (v *view) trimName(w *nameWindow, outdated func(oldest *nameHead) bool) {
	n := v.events.names
	n.touch(w)
	it := v.iter(appendNameEventKey(nil, w.name, w.floor), appendNameEventKey(nil, w.name, maxIndex))
	defer v.close(it)
	for ok := it.First(); ok; ok = it.Next() {
		oldest, _, err := readNameRecord(it.Key(), v.value(it))
		v.must(err)
		if !outdated(&oldest) {
			w.since = max(w.since, oldest.since)
			return
		}
		v.must(v.batch.Delete(it.Key(), nil))
		w.floor = oldest.last + 1
		w.events, n.events = w.events-oldest.events, n.events-oldest.events
		w.bytes, n.bytes = w.bytes-oldest.bytes, n.bytes-oldest.bytes
	}
	v.must(it.Error())
	if w.events != 0 || w.bytes != 0 || w.floor <= w.last {
		v.must(fmt.Errorf("%w: the window of a name lacks events", ErrDamaged))
	}
	v.dropName(w)
}

// saveNames stores what describes the windows, if it has changed.
func (v *view) saveNames() {
	n := v.events.names
	for i, w := range n.touched {
		if n.of[w.name] == w { // else it was dropped
			v.key, v.rec = appendNameKey(v.key[:0], w.name), w.append(v.rec[:0])
			v.must(v.batch.Set(v.key, v.rec, nil))
		}
		w.changed = false
		n.touched[i] = nil
	}
	n.touched = n.touched[:0]
	if n.limits.on() && (n.changed || n.upTo != v.meta.last) {
		n.changed, n.upTo = false, v.meta.last
		v.must(v.batch.Set([]byte{nameWindowPrefix}, n.append(v.rec[:0]), nil))
	}
}
