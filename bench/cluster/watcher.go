package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"copse/bench/cluster/history"
	"copse/bench/v2api"
)

const (
	// retryPause keeps a watcher from spinning while a member is down.
	retryPause = 20 * time.Millisecond
	// idleLimit bounds how long a roaming watcher waits for an event before it tries elsewhere.
	idleLimit = time.Second
	// silentLimit bounds how long a watcher waits for an event on a stream of a server that is
	// known to leave some streams open and silent.
	silentLimit = 3 * time.Second
)

// watcher follows one scope, resuming at last+1 wherever it connects.
type watcher struct {
	*client
	log    *history.Watch
	stream bool
	sse    bool   // server-sent events
	id     uint64 // the last that came with them, 0 before the first
	until  uint64 // a stream may end with this index; 0 is never
	// naps, unless nil, makes it sleep from time to time, until that context ends, long
	// enough that sometimes the events that it asks for are gone.
	naps context.Context
}

// A nap lasts between these, and occurs about once in this many events.
const (
	napShortest = time.Second
	napLongest  = 12 * time.Second
	napEvery    = 150
)

func (r *runner) newWatcher(w history.Watch, member int, roams, stream bool) *watcher {
	w.From = r.start + 1
	n := uint64(len(r.watchers))
	c := r.newClient(w.Name, 1000+n, time.Hour)
	c.member, c.roams = member, roams
	return &watcher{client: c, log: r.rec.Watch(w), stream: stream}
}

// follow is a watcher's life.
func (w *watcher) follow(ctx context.Context) {
	defer w.close()
	for ctx.Err() == nil {
		if w.naps != nil && w.rng.IntN(napEvery) == 0 {
			pause(w.naps, napShortest+time.Duration(w.rng.Int64N(int64(napLongest-napShortest))))
		}
		begin := w.run.rec.Last(w.log)
		if w.sse {
			w.eventsOnce(ctx)
		} else if w.stream {
			w.streamOnce(ctx)
		} else {
			w.poll(ctx, w.idle(), true)
		}
		if w.run.rec.Last(w.log) == begin { // nothing came
			pause(ctx, retryPause)
			if w.roams {
				w.move()
			}
		}
	}
}

// idle is how long a connection may stay silent; 0 is for ever.
func (w *watcher) idle() time.Duration {
	switch {
	case w.roams:
		return idleLimit
	case w.stream && !w.run.traits.rewinds:
		return silentLimit
	}
	return 0
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// open starts a watch; from 0 is live. It returns nil if the member refused
// the watch, or said that the history is gone.
func (w *watcher) open(ctx context.Context, stream bool, from uint64) *http.Response {
	query := fmt.Sprintf("wait=true&heartbeat=1s&recursive=%v", w.log.Recursive)
	if stream {
		query += "&stream=true"
	}
	for _, prefix := range w.log.Prefixes {
		query += "&prefix=" + prefix
	}
	if from > 0 {
		query += fmt.Sprintf("&waitIndex=%d", from)
	}
	rec := w.run.rec
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.run.servers[w.member].URL+"/v2/keys"+w.log.Scope+"?"+query, nil)
	if err != nil {
		return nil
	}
	if w.sse {
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Last-Event-ID", strconv.FormatUint(from-1, 10))
	}
	invoke := rec.Now()
	resp, err := v2api.Send(w.http[w.member], req)
	if err != nil {
		return nil
	}
	head := v2api.Head(resp)
	if resp.StatusCode == http.StatusOK {
		rec.Glance(history.Glance{Member: w.member, Key: w.log.Scope, Invoke: invoke, Return: rec.Now(), Index: head.Index, Raft: head.Raft, Term: head.Term})
		rec.Cluster(head.Cluster)
		return resp
	}
	defer resp.Body.Close()
	var fault v2api.Fault
	if body, err := io.ReadAll(resp.Body); err == nil && json.Unmarshal(body, &fault) == nil && fault.Code == 401 {
		w.cleared(from, head.Index)
	}
	return nil
}

// cleared does what a client must do when its events are gone: read the tree,
// and continue from there.
func (w *watcher) cleared(asked, window uint64) {
	op := w.do(v2api.Request{Method: http.MethodGet, Key: w.log.Scope, Recursive: w.log.Recursive, Quorum: true})
	if op.Answered() && op.Index > 0 {
		w.run.rec.Tell(w.log, history.Entry{At: w.run.rec.Now(), Member: op.Member, Asked: asked, Window: window, Resumed: op.Index + 1})
	}
}

// limited returns a context that ends after the given time without an event;
// calling the function restarts that time.
func limited(ctx context.Context, idle time.Duration) (context.Context, func(), context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if idle == 0 {
		return ctx, func() {}, cancel
	}
	timer := time.AfterFunc(idle, cancel)
	return ctx, func() { timer.Reset(idle) }, func() { timer.Stop(); cancel() }
}

// poll waits for one event and, if keep is set, records it.
func (w *watcher) poll(ctx context.Context, idle time.Duration, keep bool) *v2api.Event {
	ctx, _, cancel := limited(ctx, idle)
	defer cancel()
	member := w.member
	resp := w.open(ctx, false, w.run.rec.Last(w.log)+1)
	if resp == nil {
		return nil
	}
	defer resp.Body.Close()
	var ev v2api.Event
	if json.NewDecoder(resp.Body).Decode(&ev) != nil || ev.Index() == 0 {
		return nil
	}
	_, _ = io.Copy(io.Discard, resp.Body) // the end of the chunks, so that the connection is kept
	if keep {
		w.tell(&ev, member, 0)
	}
	return &ev
}

func (w *watcher) tell(ev *v2api.Event, member int, had uint64) {
	w.run.rec.Tell(w.log, history.Entry{Event: ev, At: w.run.rec.Now(), Member: member, Had: had})
}

// streamOnce reads a stream until it breaks.
func (w *watcher) streamOnce(ctx context.Context) {
	ctx, alive, cancel := limited(ctx, w.idle())
	defer cancel()
	member := w.member
	from := uint64(0)
	if w.run.traits.rewinds {
		from = w.run.rec.Last(w.log) + 1
	}
	resp := w.open(ctx, true, from)
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	if from == 0 && !w.fill(ctx, v2api.Head(resp).Index) {
		return
	}
	// A stream that can't start at a given index begins at its member's index,
	// which may be behind.
	had := uint64(0)
	if from == 0 {
		had = w.run.rec.Last(w.log)
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var ev v2api.Event
		if dec.Decode(&ev) != nil {
			return
		}
		alive()
		if ev.Index() > had {
			w.tell(&ev, member, 0)
		}
		if w.until > 0 && ev.Index() >= w.until {
			return
		}
	}
}

// eventsOnce reads server-sent events until they break off, and goes on behind the last id,
// which may be a heartbeat's.
func (w *watcher) eventsOnce(ctx context.Context) {
	ctx, alive, cancel := limited(ctx, w.idle())
	defer cancel()
	member := w.member
	w.id = max(w.id, w.run.rec.Last(w.log))
	resp := w.open(ctx, true, w.id+1)
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	from := bufio.NewReader(resp.Body)
	for id := w.id; ; {
		line, err := from.ReadString('\n')
		if err != nil {
			return
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			if id, err = strconv.ParseUint(value, 10, 64); err != nil {
				return
			}
		case "data":
			var ev v2api.Event
			if json.Unmarshal([]byte(value), &ev) != nil {
				return
			}
			alive()
			w.tell(&ev, member, w.id)
		case "": // the end of an event, or of a heartbeat
			w.id = id
		}
	}
}

// fill fetches the events between the last one and a stream that began after
// upTo, from a server whose streams can't start in the past. Only an event
// above upTo shows that there are no more; the stream delivers that one too.
func (w *watcher) fill(ctx context.Context, upTo uint64) bool {
	for ctx.Err() == nil && w.run.rec.Last(w.log) < upTo {
		member := w.member
		ev := w.poll(ctx, 0, false)
		if ev == nil {
			return false
		}
		if ev.Index() > upTo {
			return true
		}
		w.tell(ev, member, 0)
	}
	return ctx.Err() == nil
}
