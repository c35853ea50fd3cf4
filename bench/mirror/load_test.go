package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"copse/bench/v2api"
)

// endpoints is where a client works now. It is led from one to another.
type endpoints struct {
	mu   sync.Mutex
	urls []string
	at   int
}

func (e *endpoints) url() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.urls[e.at%len(e.urls)]
}

func (e *endpoints) next() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at++
}

func (e *endpoints) move(urls []string, at int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.urls, e.at = urls, at
}

// guard is Patroni's: what it has seen of id and term must not fall or change.
type guard struct {
	book    *book
	who     string
	cluster string
	term    uint64
}

func (g *guard) saw(r *v2api.Reply) {
	switch {
	case r.Cluster == "":
	case g.cluster == "":
		g.cluster = r.Cluster
	case g.cluster != r.Cluster:
		g.book.complain("%s: the cluster's id was %s and is %s", g.who, g.cluster, r.Cluster)
	}
	if r.Term == 0 {
		return
	}
	if r.Term < g.term {
		g.book.complain("%s: the term fell from %d to %d", g.who, g.term, r.Term)
	}
	g.term = max(g.term, r.Term)
}

// writer changes one key by compare-and-swap on its index, and now and then refreshes another.
type writer struct {
	guard
	endpoints
	key     string
	client  *http.Client
	index   uint64   // of the key, as far as is known
	value   string   // likewise
	doubt   bool     // the last write's outcome is unknown
	unknown []string // values of unknown outcome since the last acknowledged one: they may come late
	count   int
	pace    time.Duration

	lease    uint64 // index of the key that is refreshed; 0: not made yet
	doubtful bool   // a set of unknown outcome may come late
}

const requestLimit = 8 * time.Second

func (w *writer) do(ctx context.Context, r v2api.Request) (v2api.Outcome, *v2api.Event, *v2api.Fault) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	reply, err := v2api.Do(ctx, w.client, w.url(), &r)
	outcome, ev, fault := reply.Parse(err)
	w.saw(&reply)
	if outcome == v2api.Unknown || outcome == v2api.NotSent {
		w.next()
	}
	return outcome, ev, fault
}

func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.write(ctx)
		if w.count%5 == 0 {
			w.refresh(ctx)
		}
		if w.count%7 == 0 {
			w.hide(ctx)
		}
		pause(ctx, w.pace)
	}
}

// write makes the next change. After one of unknown outcome, it looks first.
func (w *writer) write(ctx context.Context) {
	if w.doubt && !w.look(ctx) {
		return
	}
	w.count++
	r := v2api.Request{Method: http.MethodPut, Key: w.key, Value: fmt.Sprint(w.who, "-", w.count)}
	if w.index == 0 {
		r.PrevExist = "false"
	} else {
		r.PrevIndex = w.index
	}
	switch outcome, ev, fault := w.do(context.WithoutCancel(ctx), r); outcome {
	case v2api.Acked:
		w.book.acked(w.who, ev)
		if ev.Index() <= w.index {
			w.book.complain("%s: index %d after %d", w.who, ev.Index(), w.index)
		}
		w.index, w.value, w.unknown = ev.Index(), r.Value, nil
	case v2api.Refused:
		if len(w.unknown) == 0 {
			w.book.complain("%s: %s %v is refused: %d %s, though nobody else writes there", w.who, w.key, r.PrevIndex, fault.Code, fault.Cause)
		}
		w.doubt = true
	case v2api.Unknown:
		w.unknown, w.doubt = append(w.unknown, r.Value), true
	}
}

// look finds out what has become of writes of unknown outcome. What is there must be the last
// acknowledged value, or one of those.
func (w *writer) look(ctx context.Context) bool {
	outcome, ev, fault := w.do(ctx, v2api.Request{Method: http.MethodGet, Key: w.key, Quorum: true})
	switch {
	case outcome == v2api.Acked:
		w.judge(ev.Node.Value, ev.Node.Modified)
		w.index, w.value = ev.Node.Modified, ev.Node.Value
	case outcome == v2api.Refused && fault.Code == 100:
		w.judge("", 0)
		w.index, w.value = 0, ""
	default:
		return false
	}
	w.doubt = false
	return true
}

func (w *writer) judge(value string, index uint64) {
	if value == w.value && (index == w.index || w.value == "") {
		return
	}
	for _, v := range w.unknown {
		if v == value && index > w.index {
			return
		}
	}
	w.book.complain("%s: %s is %q at %d, and was acknowledged as %q at %d; unknown: %q", w.who, w.key, value, index, w.value, w.index, w.unknown)
}

// refresh makes a lease live longer, by its index, which only whoever refreshed it knows.
func (w *writer) refresh(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	r := v2api.Request{Method: http.MethodPut, Key: w.key + "-lease", TTL: 600, Refresh: true, PrevIndex: w.lease}
	if w.lease == 0 {
		r = v2api.Request{Method: http.MethodPut, Key: w.key + "-lease", TTL: 600, Value: "l"}
	}
	switch outcome, ev, fault := w.do(ctx, r); outcome {
	case v2api.Acked:
		if w.lease = ev.Index(); !r.Refresh {
			w.book.acked(w.who, ev)
		}
	case v2api.Refused:
		if !w.doubtful {
			w.book.complain("%s: the lease at %d is refused: %d %s", w.who, w.lease, fault.Code, fault.Cause)
		}
		w.lease = 0
	case v2api.Unknown:
		w.doubtful = w.doubtful || !r.Refresh
		w.lease = 0 // set anew
	}
}

// hide writes where only a watch that asks for it looks.
func (w *writer) hide(ctx context.Context) {
	key := "/_hidden/" + w.who
	if outcome, ev, _ := w.do(context.WithoutCancel(ctx), v2api.Request{Method: http.MethodPut, Key: key, Value: strconv.Itoa(w.count)}); outcome == v2api.Acked {
		w.book.hidden(key, ev)
	} else if outcome == v2api.Unknown {
		w.book.hidden(key, nil)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// watcher sees all changes of visible keys, resuming at the next index wherever it goes.
type watcher struct {
	guard
	endpoints
	client *http.Client
	from   uint64 // the next index; under the endpoints' lock
	seen   []uint64
	values map[uint64]string
	holes  [][2]uint64 // indexes of events that the server has forgotten: both ends included
}

// watchLimit is when a watcher asks anew, as Patroni and python-etcd do.
const watchLimit = 2 * time.Second

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.poll(ctx)
	}
}

func (w *watcher) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, watchLimit)
	defer cancel()
	resp, err := v2api.Open(ctx, w.client, http.MethodGet, w.url()+"/v2/keys/?wait=true&recursive=true&waitIndex="+strconv.FormatUint(w.from, 10), nil)
	if err != nil {
		w.next()
		pause(ctx, 20*time.Millisecond)
		return
	}
	defer resp.Body.Close()
	head := v2api.Head(resp)
	w.saw(&head)
	if resp.StatusCode == http.StatusOK {
		var ev v2api.Event
		if json.NewDecoder(resp.Body).Decode(&ev) == nil && ev.Action != "" {
			w.event(&ev)
		}
		return
	}
	var fault v2api.Fault
	if json.NewDecoder(resp.Body).Decode(&fault) == nil && fault.Code == 401 {
		w.readAnew(ctx)
		return
	}
	w.next()
	pause(ctx, 20*time.Millisecond)
}

func (w *watcher) event(ev *v2api.Event) {
	at := ev.Index()
	if at < w.from {
		w.book.complain("%s: asked from %d, and got %d", w.who, w.from, at)
	}
	w.seen = append(w.seen, at)
	w.values[at] = ev.Node.Key + "=" + ev.Node.Value
	w.goOn(at + 1)
}

// readAnew is what a client does after a 401.
func (w *watcher) readAnew(ctx context.Context) {
	reply, err := v2api.Do(ctx, w.client, w.url(), &v2api.Request{Method: http.MethodGet, Key: "/"})
	if err != nil || reply.Status != http.StatusOK || reply.Index < w.from {
		pause(ctx, 20*time.Millisecond)
		return
	}
	w.saw(&reply)
	w.holes = append(w.holes, [2]uint64{w.from, reply.Index})
	w.goOn(reply.Index + 1)
}

func (w *watcher) goOn(from uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from = from
}

// position is the next index.
func (w *watcher) position() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.from
}
