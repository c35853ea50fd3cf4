package mirror

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"copse/bench/v2api"
)

// book is what clients were promised in one move, and which promises were broken.
type book struct {
	mu      sync.Mutex
	broken  []string
	indexes map[uint64]string          // acknowledged writes: what was written at an index
	secrets map[string]map[string]bool // hidden keys: the values that may be there
}

func newBook() *book {
	return &book{indexes: map[uint64]string{}, secrets: map[string]map[string]bool{}}
}

func (b *book) complain(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = append(b.broken, fmt.Sprintf(format, args...))
}

func (b *book) acked(who string, ev *v2api.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	what := ev.Node.Key + "=" + ev.Node.Value
	if other, ok := b.indexes[ev.Index()]; ok {
		b.broken = append(b.broken, fmt.Sprintf("%s: index %d was given to %s and to %s", who, ev.Index(), other, what))
	}
	b.indexes[ev.Index()] = what
}

// hidden notes a write of a hidden key; nil: of unknown outcome, after which anything may be there.
func (b *book) hidden(key string, ev *v2api.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ev == nil {
		b.secrets[key] = nil
		return
	}
	if had, ok := b.secrets[key]; ok && had == nil {
		return
	}
	b.secrets[key] = map[string]bool{ev.Node.Value: true}
}

// judge compares what is there at the end, and what watchers saw, with what was acknowledged.
func (b *book) judge(ctx context.Context, client *http.Client, url string, writers []*writer, watchers []*watcher) {
	for _, w := range writers {
		w.move([]string{url}, 0)
		for !w.look(ctx) {
			if ctx.Err() != nil {
				b.complain("%s: %s can't be read at the end", w.who, w.key)
				break
			}
		}
	}
	for key, values := range b.secrets {
		reply, err := v2api.Do(ctx, client, url, &v2api.Request{Method: http.MethodGet, Key: key, Quorum: true})
		_, ev, fault := reply.Parse(err)
		if values != nil && (ev == nil || !values[ev.Node.Value]) {
			b.complain("the hidden %s is %+v (%+v, %v), want %v", key, ev, fault, err, values)
		}
	}
	for _, w := range watchers {
		b.watched(w)
	}
}

// watched judges one watcher: each event once, in order, and every acknowledged one, unless it was
// told that the window has moved on.
func (b *book) watched(w *watcher) {
	seen := map[uint64]bool{}
	last := uint64(0)
	for _, at := range w.seen {
		if at <= last {
			b.complain("%s: event %d came after %d", w.who, at, last)
		}
		last = at
		seen[at] = true
	}
	missed := 0
	for at, what := range b.indexes {
		switch {
		case at >= w.from:
			b.complain("%s: never came to %d (%s), only to %d", w.who, at, what, w.from)
		case seen[at] && w.values[at] != what:
			b.complain("%s: saw %s at %d, and %s was acknowledged", w.who, w.values[at], at, what)
		case !seen[at] && !w.forgotten(at):
			if missed++; missed <= 3 {
				b.complain("%s: missed %d (%s)", w.who, at, what)
			}
		}
	}
}

func (w *watcher) forgotten(at uint64) bool {
	for _, h := range w.holes {
		if h[0] <= at && at <= h[1] {
			return true
		}
	}
	return false
}
