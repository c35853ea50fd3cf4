package writemix

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"

	"copse/bench/v2api"
)

// ownKeys is the number of plain keys that belong to each writer.
const ownKeys = 12

// Caller sends requests and records them.
type Caller interface {
	// Call sends a request and returns its outcome, with the event if
	// it was acknowledged.
	Call(r v2api.Request) (v2api.Outcome, *v2api.Event)
	// Seen is the highest index that anyone has seen so far.
	Seen() uint64
}

// Mix draws one request after another.
type Mix struct {
	root   string // the directory that all writers share; "" is the whole tree
	id     int    // of the writer: its own keys are below root/wID
	stamp  string // prefix of each value, which makes it different from other writers' values
	rng    *rand.Rand
	caller Caller

	sent int
	view map[string]v2api.Node // own keys, as last acknowledged; none if unknown
}

// New returns the mix of writer id. stamp must be unique in the whole run.
func New(root string, id int, stamp string, rng *rand.Rand, caller Caller) *Mix {
	return &Mix{root: root, id: id, stamp: stamp, rng: rng, caller: caller, view: map[string]v2api.Node{}}
}

// Root is the directory that a run with so many shards writes below: dir, or the
// whole tree if there are several, since each top-level name is in one shard only.
func Root(dir string, shards int) string {
	if shards > 1 {
		return ""
	}
	return dir
}

// Next picks a kind of write by weight and sends it; some kinds need a read
// before, or are two writes in a row.
func (m *Mix) Next() {
	key := m.own()
	switch n := m.rng.IntN(100); {
	case n < 28:
		m.put(v2api.Request{Key: key})
	case n < 36:
		m.put(v2api.Request{Key: key, PrevExist: "false"})
	case n < 42:
		m.put(v2api.Request{Key: key, PrevExist: "true"})
	case n < 54:
		m.swap(key)
	case n < 62:
		m.count()
	case n < 70:
		m.remove(v2api.Request{Key: key})
	case n < 73:
		m.removeCompared(key)
	case n < 82:
		m.queue()
	case n < 88:
		m.put(v2api.Request{Key: m.mortal(), TTL: m.ttl()})
	case n < 94:
		m.refresh()
	case n < 97:
		m.directory()
	default:
		m.remove(v2api.Request{Key: m.dir("tree"), Recursive: true})
	}
}

func (m *Mix) dir(name string) string { return fmt.Sprintf("%s/w%d/%s", m.root, m.id, name) }

func (m *Mix) own() string { return m.dir(fmt.Sprintf("k%d", m.rng.IntN(ownKeys))) }

func (m *Mix) mortal() string { return m.dir(fmt.Sprintf("ttl%d", m.rng.IntN(6))) }

func (m *Mix) ttl() int { return 1 + m.rng.IntN(3) }

// value is unique in this run. Some values are long, so that a record spans more than
// a disk writes at once, and a few so long that copse takes them in parts.
func (m *Mix) value() string {
	m.sent++
	text := fmt.Sprintf("%s-%d <&é\n", m.stamp, m.sent)
	switch n := m.rng.IntN(800); {
	case n == 0:
		return v2api.Long(text, 1_100_000+m.rng.IntN(300_000))
	case n == 1:
		return v2api.Long(text, 200_000+m.rng.IntN(500_000))
	case n < 18:
		return text + strings.Repeat("x", m.rng.IntN(20_000))
	}
	return text + strings.Repeat("x", m.rng.IntN(80))
}

// send sends a write and updates the view of its key.
func (m *Mix) send(r v2api.Request) {
	outcome, ev := m.caller.Call(r)
	switch {
	case outcome == v2api.Acked && r.Method == http.MethodPut:
		m.view[r.Key] = ev.Node
	case outcome == v2api.Acked || outcome == v2api.Unknown:
		delete(m.view, r.Key)
	}
}

// put sends r with a new value.
func (m *Mix) put(r v2api.Request) {
	r.Method, r.Value = http.MethodPut, m.value()
	m.send(r)
}

func (m *Mix) remove(r v2api.Request) {
	r.Method = http.MethodDelete
	m.send(r)
}

// swap compares with what the last answer showed; one in four is wrong on purpose.
func (m *Mix) swap(key string) {
	have := m.view[key]
	r := v2api.Request{Key: key, PrevIndex: have.Modified, PrevExist: "true"}
	switch n := m.rng.IntN(4); {
	case n == 0 || have.Modified == 0:
		r.PrevIndex = 1 + m.rng.Uint64N(1+m.caller.Seen())
		r.PrevExist = ""
	case n == 1 && have.Value != "" && len(have.Value) < 500 && !v2api.IsLong(have.Value):
		r.PrevIndex, r.PrevValue = 0, have.Value
		r.PrevExist = ""
	}
	m.put(r)
}

func (m *Mix) removeCompared(key string) {
	if have := m.view[key]; have.Modified != 0 {
		m.remove(v2api.Request{Key: key, PrevIndex: have.Modified})
	}
}

// count is a swap on a key that all writers share.
func (m *Mix) count() {
	key := m.root + "/counter"
	outcome, ev := m.caller.Call(v2api.Request{Method: http.MethodGet, Key: key})
	switch outcome {
	case v2api.Acked:
		m.put(v2api.Request{Key: key, PrevIndex: ev.Node.Modified})
	case v2api.Refused:
		m.put(v2api.Request{Key: key, PrevExist: "false"})
	}
}

// queue adds an item in order, or removes the oldest. It removes more often, because
// two writers may choose the same item, and the listing must stay short. With the whole
// tree there is a queue in the root too.
func (m *Mix) queue() {
	dir := m.root + "/queue"
	if m.root == "" && m.rng.IntN(2) == 0 {
		dir = ""
	}
	if m.rng.IntN(5) < 2 {
		m.send(v2api.Request{Method: http.MethodPost, Key: dir, Value: m.value()})
		return
	}
	outcome, list := m.caller.Call(v2api.Request{Method: http.MethodGet, Key: dir, Sorted: true})
	if outcome != v2api.Acked {
		return
	}
	for _, n := range list.Node.Nodes {
		if inOrder.MatchString(n.Key) {
			m.remove(v2api.Request{Key: n.Key})
			return
		}
	}
}

// inOrder is the name of a key in order.
var inOrder = regexp.MustCompile(`/\d{20}$`)

// refresh extends a key's ttl without waking a watcher.
func (m *Mix) refresh() {
	m.send(v2api.Request{Method: http.MethodPut, Key: m.mortal(), Refresh: true, PrevExist: "true", TTL: m.ttl()})
}

// directory creates one whose children expire with it.
func (m *Mix) directory() {
	dir := m.dir("tree")
	m.send(v2api.Request{Method: http.MethodPut, Key: dir, Dir: true, PrevExist: "false", TTL: 1 + m.rng.IntN(2)})
	m.put(v2api.Request{Key: dir + "/leaf"})
	m.put(v2api.Request{Key: dir + "/branch/leaf"})
}
