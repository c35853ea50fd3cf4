package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"copse/bench/v2api"
)

// watcher follows one directory through all restarts, resuming at last+1.
type watcher struct {
	client *client
	board  *board
	stream bool
	// rewinds says that a stream which starts in the past continues live after
	// it. etcd's delivers one old event and nothing more, so there the past
	// is fetched by long-polls.
	rewinds bool
	log     WatchLog // guarded by board
	last    uint64   // guarded by board: the last index seen
	fault   error    // guarded by board: why it gave up
}

// board wakes those who wait until a watcher has seen something.
type board struct {
	mu   sync.Mutex
	cond *sync.Cond
}

func newBoard() *board {
	b := &board{}
	b.cond = sync.NewCond(&b.mu)
	return b
}

func (b *board) wake() {
	b.mu.Lock()
	b.cond.Broadcast()
	b.mu.Unlock()
}

// retryPause keeps a watcher from spinning while the server is down.
const retryPause = 5 * time.Millisecond

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		if w.stream {
			err = w.follow(ctx)
		} else {
			_, err = w.poll(ctx, true)
		}
		if err != nil {
			w.board.mu.Lock()
			w.fault = err
			w.board.cond.Broadcast()
			w.board.mu.Unlock()
			return
		}
	}
}

func (w *watcher) next() uint64 {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	return w.last + 1
}

func (w *watcher) note(ev *v2api.Event) {
	w.client.raise(w.log.Scope, ev.Index())
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	w.log.Seen = append(w.log.Seen, Seen{ev, time.Now()})
	w.last = max(w.last, ev.Index())
	w.board.cond.Broadcast()
}

// open starts a watch. It returns nothing while the server is down, and an
// error when the server turns the watch down, which it has no reason to.
func (w *watcher) open(ctx context.Context, query string) (*http.Response, error) {
	floor := w.client.floor(w.log.Scope)
	resp, err := v2api.Open(ctx, w.client.http, http.MethodGet, w.client.base+"/v2/keys"+w.log.Scope+"?wait=true&recursive=true"+query, nil)
	if err != nil {
		pause(ctx)
		return nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		var body [300]byte
		n, _ := resp.Body.Read(body[:])
		if resp.StatusCode >= http.StatusInternalServerError {
			pause(ctx)
			return nil, nil
		}
		return nil, fmt.Errorf("watch %s%s: status %d: %s", w.log.Scope, query, resp.StatusCode, body[:n])
	}
	w.client.glance("watch "+w.log.Scope+query, w.log.Scope, floor, v2api.Head(resp).Index)
	return resp, nil
}

func pause(ctx context.Context) {
	timer := time.NewTimer(retryPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// poll waits for one event. The server's end, or an empty body, is no event.
func (w *watcher) poll(ctx context.Context, keep bool) (*v2api.Event, error) {
	resp, err := w.open(ctx, fmt.Sprintf("&waitIndex=%d", w.next()))
	if resp == nil {
		return nil, err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	var ev v2api.Event
	if dec.Decode(&ev) != nil || ev.Index() == 0 {
		return nil, nil
	}
	if dec.More() {
		return nil, fmt.Errorf("watch %s: more than one event in a long-poll", w.log.Scope)
	}
	if keep {
		w.note(&ev)
	}
	return &ev, nil
}

// follow reads a stream until it breaks.
func (w *watcher) follow(ctx context.Context) error {
	query := "&stream=true"
	if w.rewinds {
		query += fmt.Sprintf("&waitIndex=%d", w.next())
	}
	resp, err := w.open(ctx, query)
	if resp == nil {
		return err
	}
	defer resp.Body.Close()
	if !w.rewinds {
		if err := w.fill(ctx, v2api.Head(resp).Index); err != nil {
			return err
		}
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var ev v2api.Event
		if dec.Decode(&ev) != nil {
			return nil
		}
		w.note(&ev)
	}
}

// fill fetches the events between the last one and a stream that began after
// upTo. Only an event above upTo shows that there are no more; the stream delivers
// that one too.
func (w *watcher) fill(ctx context.Context, upTo uint64) error {
	for ctx.Err() == nil && w.next() <= upTo {
		ev, err := w.poll(ctx, false)
		if err != nil {
			return err
		}
		if ev == nil {
			continue
		}
		if ev.Index() > upTo {
			return nil
		}
		w.note(ev)
	}
	return nil
}
