package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"

	"copse/bench/v2api"
)

// watcher follows the whole tree, from one index on.
type watcher struct {
	client  *client
	ledger  *ledger
	id      int
	name    string
	scope   string
	last    uint64
	seen    []change
	resumed int // how often the server ended the stream
	// lenient accepts hidden keys in replayed history: etcd shows
	// them there, and only there.
	lenient bool
}

func (w *watcher) query() string {
	return fmt.Sprintf("wait=true&recursive=true&waitIndex=%d", w.last+1)
}

func (w *watcher) note(ev *v2api.Event) {
	w.last = ev.Node.Modified
	rel := strings.TrimPrefix(ev.Node.Key, w.scope)
	if !w.lenient || !hidden(rel) {
		w.seen = append(w.seen, change{ev.Node.Modified, ev.Action, ev.Node.Key, sumOf([]byte(ev.Node.Value))})
	}
	w.ledger.saw(w.id, w.last)
}

// fruitless is how many streams in a row may end without an event.
const fruitless = 10

// stream follows by one request. copse ends a stream whose client reads too
// slowly rather than skip an event: then it resumes, and counts that. opened
// hears when the server has taken the first.
func (w *watcher) stream(ctx context.Context, opened chan<- struct{}) {
	for vain := 0; ; vain++ {
		before := w.last
		err := w.follow(ctx, opened)
		opened = nil
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && w.last > before:
			vain = 0
		case err != nil || vain == fruitless:
			w.ledger.fail(fmt.Errorf("%s, after %d: it ended with %v", w.name, w.last, err))
			return
		}
		w.resumed++
	}
}

// follow reads a stream to its end; a proper one is no error.
func (w *watcher) follow(ctx context.Context, opened chan<- struct{}) error {
	resp, err := w.client.open(ctx, http.MethodGet, w.scope, w.query()+"&stream=true", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	if opened != nil {
		close(opened)
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var ev v2api.Event
		if err := dec.Decode(&ev); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		w.note(&ev)
	}
}

// poll follows by one request per event.
func (w *watcher) poll(ctx context.Context) {
	for {
		ev, err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.ledger.fail(fmt.Errorf("%s, after %d: %w", w.name, w.last, err))
			return
		}
		w.note(ev)
	}
}

func (w *watcher) once(ctx context.Context) (*v2api.Event, error) {
	resp, err := w.client.open(ctx, http.MethodGet, w.scope, w.query(), nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // to its end, so that the connection is kept
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	}
	ev := new(v2api.Event)
	return ev, json.Unmarshal(body, ev)
}

// check compares what the watcher saw with what was acknowledged.
func (w *watcher) check(acked []change, differ func(format string, args ...any)) {
	want := append([]change(nil), acked...)
	sort.Slice(want, func(i, j int) bool { return want[i].index < want[j].index })
	got := w.seen
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(got) == 0 || len(want) > 0 && want[0].index < got[0].index:
			differ("%s did not see %s of %q at %d", w.name, want[0].action, want[0].key, want[0].index)
			want = want[1:]
		case len(want) == 0 || got[0].index < want[0].index:
			differ("%s saw %s of %q at %d: twice, out of order, or nobody's", w.name, got[0].action, got[0].key, got[0].index)
			got = got[1:]
		default:
			if want[0] != got[0] {
				differ("%s saw %s of %q at %d, with a value other than it was written, or it was %s of %q",
					w.name, got[0].action, got[0].key, got[0].index, want[0].action, want[0].key)
			}
			want, got = want[1:], got[1:]
		}
	}
}
