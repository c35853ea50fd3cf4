package check

import (
	"copse/bench/cluster/history"
	"copse/bench/placement"
	"copse/bench/v2api"
	"copse/bench/verdict"
)

// watchCheck is one watch and the events that it must have received.
type watchCheck struct {
	*history.Watch
	required []uint64
	optional map[uint64]bool
	saw      map[uint64]bool
	excused  []history.Entry // where it learned that the window has moved on
}

func (c *checker) prepareWatches() {
	for _, w := range c.h.Watches {
		wc := &watchCheck{Watch: w, optional: map[uint64]bool{}, saw: map[uint64]bool{}}
		for _, e := range w.Entries {
			if e.Event == nil {
				wc.excused = append(wc.excused, e)
			}
		}
		c.watches = append(c.watches, wc)
	}
}

// existing reports which of the watched keys exist before a change that may
// remove a directory above them.
func (c *checker) existing(at uint64) map[string]bool {
	switch op, s := c.acked[at], c.seen[at]; {
	case op != nil && op.Method != "DELETE":
		return nil
	case op == nil && (s == nil || s.event.Action != "delete" && s.event.Action != "expire"):
		return nil
	}
	there := map[string]bool{}
	for _, w := range c.watches {
		for _, key := range w.Keys() {
			there[key] = c.shards.of(key).Has(key)
		}
	}
	return there
}

// require records for each watch whether it must see a change.
func (c *checker) require(at uint64, ev *v2api.Event, there map[string]bool) {
	for _, w := range c.watches {
		if at < w.From {
			continue
		}
		must, may := w.concerned(ev, there)
		if must {
			w.required = append(w.required, at)
		}
		if may && !must {
			w.optional[at] = true
		}
	}
}

// concerned: watches below a directory see its removal if the watched key existed; a
// server that reads the event from its history can't know that any more.
func (w *watchCheck) concerned(ev *v2api.Event, there map[string]bool) (must, may bool) {
	key := ev.Node.Key
	removed := (ev.Action == "delete" || ev.Action == "expire") && ev.Node.Dir
	for _, watched := range w.Keys() {
		above := removed && v2api.Within(watched, key)
		must = must || key == watched || w.Recursive && v2api.Within(key, watched) || above && there[watched]
		may = may || above
	}
	return must, may
}

// watch compares a watch's log with the events that it must have received.
func (c *checker) watch(w *watchCheck) {
	required := map[uint64]bool{}
	for _, at := range w.required {
		required[at] = true
	}
	last := w.From - 1
	for i, e := range w.Entries {
		if e.Had > 0 && i > 0 && e.Member != w.Entries[i-1].Member {
			c.stats.Resumed++
		}
		if e.Event == nil {
			c.cleared(w, e)
			last = max(last, e.Resumed-1)
			continue
		}
		at := e.Event.Index()
		switch {
		case w.saw[at]:
			c.Complain(verdict.EventTwice, "%s received %d twice, the second time from member %d at %v", w.Name, at, e.Member, e.At)
		case at <= last:
			c.Complain(verdict.EventOrder, "%s received %d from member %d at %v, after %d", w.Name, at, e.Member, e.At, last)
		case at <= e.Had:
			c.Complain(verdict.EventOrder, "%s received %d from member %d at %v, after the id %d", w.Name, at, e.Member, e.At, e.Had)
		case at <= c.h.End && c.wrong == 0 && !required[at] && !w.optional[at]:
			c.Complain(verdict.EventAlien, "%s received %s of %s at %d", w.Name, e.Event.Action, e.Event.Node.Key, at)
		case c.canon[at] != nil:
			if diff := c.differ(c.canon[at], e.Event); diff != "" {
				c.Complain(verdict.EventDiffers, "%s received from member %d %s of %s at %d: %s", w.Name, e.Member, e.Event.Action, e.Event.Node.Key, at, diff)
			}
		}
		w.saw[at] = true
		last = max(last, at)
	}
	for _, at := range w.required {
		if !w.saw[at] && !w.excuses(at) {
			c.Complain(verdict.EventMissing, "%s did not receive %s of %s at %d", w.Name, c.canon[at].Action, c.canon[at].Node.Key, at)
		}
	}
}

// excuses reports whether a watch was told that it missed an index.
func (w *watchCheck) excuses(at uint64) bool {
	for _, e := range w.excused {
		if e.Asked <= at && at < e.Resumed {
			return true
		}
	}
	return false
}

// cleared: v2 promises the last 1,000 events to everyone who asks for them. With
// several shards the header may lag; the tree that was read right afterwards doesn't.
func (c *checker) cleared(w *watchCheck, e history.Entry) {
	at := e.Window
	if c.shards.several() {
		at = max(at, e.Resumed-1)
	}
	if e.Asked+c.h.Rules.Window > at || c.keptByName(w, e) {
		c.Complain(verdict.FalseCleared, "%s asked member %d for %d, and was told that it is gone at %d", w.Name, e.Member, e.Asked, at)
	}
}

// keptByName: where events are kept of each name, a watch within one is promised its last ones,
// however many there were elsewhere.
func (c *checker) keptByName(w *watchCheck, e history.Entry) bool {
	name := placement.Name(w.Scope)
	if c.h.Rules.NameWindow == 0 || name == "" || c.wrong > 0 {
		return false
	}
	since := uint64(0)
	for at := e.Asked; at < e.Resumed; at++ {
		if ev := c.canon[at]; ev != nil && placement.Name(ev.Node.Key) == name {
			since++
		}
	}
	return since < c.h.Rules.NameWindow
}

// lost: an acknowledged write that no witness saw, although the witness got that far, is
// lost. Without a witness nothing is proved.
func (c *checker) lost() {
	var witnesses []*watchCheck
	for _, w := range c.watches {
		if w.Witness {
			witnesses = append(witnesses, w)
		}
	}
	for at := c.h.Start + 1; at <= c.h.End; at++ {
		saw, could := false, false
		for _, w := range witnesses {
			saw = saw || w.saw[at]
			could = could || !w.excuses(at) && len(w.Entries) > 0
		}
		op := c.acked[at]
		switch {
		case !could:
			c.Complain(verdict.Undecided, "no witness for %d", at)
			return
		case op != nil && !op.Refresh && !saw:
			c.Complain(verdict.LostWrite, "%v, and none of %d witnesses saw it", op, len(witnesses))
		}
	}
}
