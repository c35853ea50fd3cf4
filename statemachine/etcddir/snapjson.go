package etcddir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"copse/statemachine/tree"
)

// depthLimit bounds the depth of the tree in a snapshot. Requests have shorter paths.
const depthLimit = 1 << 15

var errStore = errors.New("the store isn't in etcd's form")

// storeReader reads the store of a snapshot, token by token:
//
//	{"Root":NODE,"WatcherHub":{"EventHistory":{"Queue":{"Events":[EVENT|null…],…},"StartIndex":n,…}},"CurrentIndex":n,…}
//	NODE  {"Path":"/1/a","CreatedIndex":n,"ModifiedIndex":n,"ExpireTime":"…","Value":"","Children":null|{"name":NODE…}}
//
// Children is null for a file, and comes last.
type storeReader struct {
	in      *json.Decoder
	store   *store
	nodes   int
	index   uint64
	start   uint64 // index of the oldest event that is known
	events  []tree.Event
	failure error // the first; everything behind it reads nothing
}

func readStore(in io.Reader, into *store) (*storeReader, error) {
	r := &storeReader{in: json.NewDecoder(in), store: into}
	r.in.UseNumber()
	r.object(map[string]func(){
		"Root":         func() { r.node("/", 0) },
		"CurrentIndex": func() { r.index = r.number() },
		"WatcherHub": func() {
			r.object(map[string]func(){"EventHistory": func() {
				r.object(map[string]func(){
					"StartIndex": func() { r.start = r.number() },
					"Queue":      func() { r.object(map[string]func(){"Events": r.queue}) },
				})
			}})
		},
	})
	if _, err := r.in.Token(); r.failure == nil && err != io.EOF {
		r.fail(errStore)
	}
	if _, ok := into.nodes[keySpace]; r.failure == nil && !ok {
		r.fail(errStore)
	}
	return r, r.failure
}

func (r *storeReader) fail(err error) {
	if r.failure == nil && err != nil {
		r.failure = err
	}
}

func (r *storeReader) token() json.Token {
	if r.failure != nil {
		return nil
	}
	t, err := r.in.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	r.fail(err)
	return t
}

// object reads an object, whose fields the functions read. Others are skipped.
func (r *storeReader) object(fields map[string]func()) {
	r.expect('{')
	r.fields(func(name string) {
		if read, ok := fields[name]; ok {
			read()
		} else {
			r.skip()
		}
	})
}

// fields reads the fields of an object that has begun, and its end.
func (r *storeReader) fields(read func(name string)) {
	for r.failure == nil && r.in.More() {
		name, _ := r.token().(string)
		read(name)
	}
	r.expect('}')
}

func (r *storeReader) expect(want json.Delim) {
	if got, ok := r.token().(json.Delim); !ok || got != want {
		r.fail(errStore)
	}
}

func (r *storeReader) skip() {
	depth := 0
	for {
		switch d, _ := r.token().(json.Delim); d {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth == 0 || r.failure != nil {
			return
		}
	}
}

func (r *storeReader) text() string {
	s, ok := r.token().(string)
	if !ok {
		r.fail(errStore)
	}
	return s
}

func (r *storeReader) number() (n uint64) {
	v, ok := r.token().(json.Number)
	if !ok {
		r.fail(errStore)
	} else if _, err := fmt.Sscan(v.String(), &n); err != nil {
		r.fail(errStore)
	}
	return n
}

// node reads a node and everything below it.
func (r *storeReader) node(key string, depth int) {
	if depth > depthLimit {
		r.fail(errStore)
	}
	n := tree.Node{Key: key}
	path, whole := "", false
	r.expect('{')
	r.fields(func(name string) {
		if whole {
			r.fail(errStore)
			return
		}
		switch name {
		case "Path":
			path = r.text()
		case "CreatedIndex":
			n.Created = tree.Index(r.number())
		case "ModifiedIndex":
			n.Modified = tree.Index(r.number())
		case "ExpireTime":
			n.Expires = r.expiration()
		case "Value":
			n.Value = []byte(r.text())
		case "Children":
			whole = true
			if path != key {
				r.fail(errStore)
			}
			r.children(&n, depth)
		default:
			r.skip()
		}
	})
	if !whole {
		r.fail(errStore)
	}
}

// children reads the children of n, which it puts into the store before them.
func (r *storeReader) children(n *tree.Node, depth int) {
	begin := r.token()
	n.Dir = begin != nil
	if n.Dir {
		n.Value = nil
	}
	if r.failure == nil && n.Key != "/" {
		if _, ok := r.store.Get(n.Key); ok {
			r.fail(errStore)
			return
		}
		r.nodes++
		r.store.Put(n, nil)
	}
	if !n.Dir {
		return
	}
	if begin != json.Delim('{') {
		r.fail(errStore)
	}
	r.fields(func(name string) {
		key := strings.TrimSuffix(n.Key, "/") + "/" + name
		if name == "" || strings.Contains(name, "/") || tree.Clean(key) != key {
			r.fail(errStore)
		}
		r.node(key, depth+1)
	})
}

func (r *storeReader) expiration() int64 {
	t, err := time.Parse(time.RFC3339Nano, r.text())
	r.fail(err)
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// queue reads the events, a ring whose unused places are null.
func (r *storeReader) queue() {
	r.expect('[')
	for r.failure == nil && r.in.More() {
		var e *storedEvent
		if err := r.in.Decode(&e); err != nil {
			r.fail(err)
			return
		}
		if e == nil {
			continue
		}
		event, ok := e.event()
		if !ok {
			r.fail(errStore)
			return
		}
		r.events = append(r.events, event)
	}
	r.expect(']')
}

// storedEvent is an event of the queue, as v2 prints it.
type storedEvent struct {
	Action  string      `json:"action"`
	Node    *storedNode `json:"node"`
	Prev    *storedNode `json:"prevNode"`
	Refresh bool        `json:"refresh"`
}

type storedNode struct {
	Key           string     `json:"key"`
	Value         string     `json:"value"`
	Dir           bool       `json:"dir"`
	Expiration    *time.Time `json:"expiration"`
	TTL           int64      `json:"ttl"`
	ModifiedIndex uint64     `json:"modifiedIndex"`
	CreatedIndex  uint64     `json:"createdIndex"`
}

// event returns e as an event of ours. It says a time to live, from which follows when
// it happened.
func (e *storedEvent) event() (tree.Event, bool) {
	var ev tree.Event
	for a := tree.ActionSet; a <= tree.ActionExpire; a++ {
		if a.String() == e.Action {
			ev.Action = a
		}
	}
	if ev.Action == 0 || e.Node == nil {
		return ev, false
	}
	ev.Node, ev.Refresh = e.Node.node(), e.Refresh
	timed := e.Node
	if e.Prev != nil {
		ev.Prev, ev.HasPrev = e.Prev.node(), true
		if timed.Expiration == nil {
			timed = e.Prev
		}
	}
	if timed.Expiration != nil {
		ev.Now = timed.Expiration.UnixNano() - timed.TTL*int64(time.Second)
	}
	return ev, true
}

func (n *storedNode) node() tree.Node {
	node := tree.Node{Key: n.Key, Dir: n.Dir, Modified: tree.Index(n.ModifiedIndex), Created: tree.Index(n.CreatedIndex)}
	if !n.Dir {
		node.Value = []byte(n.Value)
	}
	if n.Expiration != nil {
		node.Expires = n.Expiration.UnixNano()
	}
	return node
}
