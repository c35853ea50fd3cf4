package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
)

// root is the directory that the load has for itself.
const root = "/crash"

// ownKeys is how many keys each writer has for itself: few, so that each is
// written, removed and written again many times between two kills.
const ownKeys = 12

// writer sends one kind of write after another, at random, and notes what
// became of each. It lives from one start of the server to the next kill.
type writer struct {
	client *client
	rng    *rand.Rand
	id     int
	epoch  int
	pace   func()             // waits while the watchers are too far behind
	noted  func(index uint64) // hears of what watchers have to see
	over   *atomic.Bool

	sent int
	ops  []Op
	view map[string]Node // own keys, as last acknowledged; nothing when in doubt
}

// run writes until told that it's over. Writes that fail for want of a server
// don't end it: it has to be there when the kill comes.
func (w *writer) run() {
	for !w.over.Load() {
		w.pace()
		w.one()
	}
}

// one picks a kind of write by weight.
func (w *writer) one() {
	key := w.own()
	switch n := w.rng.IntN(100); {
	case n < 28:
		w.put(key, "")
	case n < 36:
		w.put(key, "prevExist=false")
	case n < 42:
		w.put(key, "prevExist=true")
	case n < 54:
		w.swap(key)
	case n < 62:
		w.count()
	case n < 70:
		w.remove(key, "")
	case n < 73:
		w.removeCompared(key)
	case n < 82:
		w.queue()
	case n < 88:
		w.putTTL()
	case n < 94:
		w.refresh()
	case n < 97:
		w.directory()
	default:
		w.remove(w.dir("tree"), "recursive=true")
	}
}

func (w *writer) dir(name string) string { return fmt.Sprintf("%s/w%d/%s", root, w.id, name) }

func (w *writer) own() string { return w.dir(fmt.Sprintf("k%d", w.rng.IntN(ownKeys))) }

// value is unlike any other that this run sends; now and then it's long, so
// that a record spans what a disk writes at once.
func (w *writer) value() string {
	w.sent++
	size := w.rng.IntN(80)
	if w.rng.IntN(50) == 0 {
		size = w.rng.IntN(20_000)
	}
	return fmt.Sprintf("e%d-w%d-%d <&é\n%s", w.epoch, w.id, w.sent, strings.Repeat("x", size))
}

// send carries out a write and keeps the view of its key.
func (w *writer) send(op Op) *Op {
	op.Epoch = w.epoch
	w.client.write(&op)
	w.ops = append(w.ops, op)
	if op.Outcome == Acked && !op.Refresh {
		w.noted(op.Event.Index())
	}
	switch {
	case op.Outcome == Acked && op.Method == http.MethodPut:
		w.view[op.Key] = op.Event.Node
	case op.Outcome == Unknown || op.Outcome == Acked:
		delete(w.view, op.Key)
	}
	return &w.ops[len(w.ops)-1]
}

func (w *writer) put(key, query string) {
	w.send(Op{Method: http.MethodPut, Key: key, Query: query, Value: w.value()})
}

func (w *writer) remove(key, query string) {
	w.send(Op{Method: http.MethodDelete, Key: key, Query: query})
}

// swap compares with what the last answer showed; one in four on purpose wrong.
func (w *writer) swap(key string) {
	have := w.view[key]
	op := Op{Method: http.MethodPut, Key: key, Value: w.value(), Prev: have.Modified}
	switch n := w.rng.IntN(4); {
	case n == 0 || have.Modified == 0:
		op.Prev = 1 + w.rng.Uint64N(1+w.client.seen.Load())
		op.Query = fmt.Sprintf("prevIndex=%d", op.Prev)
	case n == 1 && have.Value != "" && len(have.Value) < 500:
		op.Prev = 0
		op.Query = "prevValue=" + escape(have.Value)
	default:
		op.Query = fmt.Sprintf("prevIndex=%d&prevExist=true", op.Prev)
	}
	w.send(op)
}

func (w *writer) removeCompared(key string) {
	if have := w.view[key]; have.Modified != 0 {
		w.send(Op{Method: http.MethodDelete, Key: key, Prev: have.Modified, Query: fmt.Sprintf("prevIndex=%d", have.Modified)})
	}
}

// count is a swap on the key that all writers fight for.
func (w *writer) count() {
	key := root + "/counter"
	n, _, err := w.client.get(key, false)
	if err != nil {
		return
	}
	if n == nil {
		w.put(key, "prevExist=false")
		return
	}
	w.send(Op{Method: http.MethodPut, Key: key, Value: w.value(), Prev: n.Modified, Query: fmt.Sprintf("prevIndex=%d", n.Modified)})
}

// queue adds an item in order, or takes the oldest away; that more often, for
// two may want the same one, and the listing has to stay short.
func (w *writer) queue() {
	dir := root + "/queue"
	if w.rng.IntN(5) < 2 {
		w.send(Op{Method: http.MethodPost, Key: dir, Value: w.value()})
		return
	}
	a, err := w.client.ask(http.MethodGet, dir, "sorted=true", nil)
	var list Event
	if err != nil || json.Unmarshal(a.body, &list) != nil || len(list.Node.Nodes) == 0 {
		return
	}
	w.remove(list.Node.Nodes[0].Key, "")
}

func (w *writer) putTTL() {
	key := w.dir(fmt.Sprintf("ttl%d", w.rng.IntN(6)))
	w.put(key, fmt.Sprintf("ttl=%d", 1+w.rng.IntN(3)))
}

// refresh moves a key's end without waking a watcher.
func (w *writer) refresh() {
	key := w.dir(fmt.Sprintf("ttl%d", w.rng.IntN(6)))
	w.send(Op{Method: http.MethodPut, Key: key, Refresh: true, Query: fmt.Sprintf("refresh=true&prevExist=true&ttl=%d", 1+w.rng.IntN(3))})
}

// directory makes one that takes its children with it when it expires.
func (w *writer) directory() {
	dir := w.dir("tree")
	w.send(Op{Method: http.MethodPut, Key: dir, Query: fmt.Sprintf("dir=true&prevExist=false&ttl=%d", 1+w.rng.IntN(2))})
	w.put(dir+"/leaf", "")
	w.put(dir+"/branch/leaf", "")
}

// escape writes a value into a query.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}
