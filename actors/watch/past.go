package watch

import "copse/statemachine/tree"

// pastReader delivers the past of one watch from the window on disk. It runs on
// the goroutine that called Watch, so the hub goes on meanwhile.
type pastReader struct {
	hub       *Hub
	watch     *tree.Watch
	delivered bool
}

// read delivers the events from from up to the one before until, where the hub
// takes over. It never goes beyond: the hub would deliver those again. more is
// false if the watch doesn't need the hub any longer.
func (p *pastReader) read(from, until tree.Index) (more bool, err *tree.Error) {
	for from < until {
		if p.hub.life.Halting() || p.hub.departures.left(p.watch) {
			p.watch.Sink.End()
			return false, nil
		}
		events, complete, e := p.hub.store.history(scope(p.watch), from, historyPage)
		if e != nil {
			return false, p.fail(&tree.Error{Code: tree.CodeRaftInternal, Cause: e.Error()})
		}
		if complete > from {
			return false, p.fail(p.hub.closed(complete, p.watch.Since))
		}
		for i := range events {
			if events[i].Index >= until {
				return true, nil
			}
			if p.deliver(events[i].Apart()) {
				return false, nil
			}
			from = events[i].Index + 1
		}
		if len(events) == 0 {
			break // the remaining indexes had no event
		}
	}
	return true, nil
}

// deliver hands n over if it concerns the watch, and reports whether the watch
// needs no more events.
func (p *pastReader) deliver(n *tree.EncodedEvent) (through bool) {
	if !p.watch.Wants(n) {
		return false
	}
	deliver(p.watch.Sink, n)
	p.delivered = true
	return !p.watch.Stream
}

// fail refuses the watch with err; one that has received events can only end.
func (p *pastReader) fail(err *tree.Error) *tree.Error {
	if p.delivered {
		p.watch.Sink.End()
		return nil
	}
	return err
}

// scope is a key that all keys of w are at or below: the root, if they don't have a top-level
// name in common.
func scope(w *tree.Watch) string {
	name := tree.TopName(w.Key)
	for key := range w.Keys() {
		if key != w.Key && tree.TopName(key) != name {
			return "/"
		}
	}
	return "/" + name
}
