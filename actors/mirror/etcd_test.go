package mirror

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/actors/source"
	"copse/statemachine/tree"
)

// etcd is a source in memory: a tree, its events and the habits that matter here. Refreshes have
// an index and no event, hidden nodes aren't listed, and its history is short.
type etcd struct {
	mu     sync.Mutex
	store  tree.MemStore
	last   tree.Index
	events []tree.Event
	kept   int    // events that it remembers
	term   uint64 // of its answers
	auth   bool
	cutOff bool              // it has no leader
	copse  bool              // it is one, and knows encoding=base64
	busy   bool              // it moves on after each read
	id     uint64            // of its cluster
	read   func()            // called after a whole read, if set
	asked  func()            // called before the next HEAD is answered, if set
	late   int               // events, the last ones, that aren't told of yet
	ahead  time.Duration     // of its clock
	wrote  func(*tree.Event) // called before a write is answered, if set
	server *httptest.Server
}

const clusterID = 0xabc

func newEtcd(t *testing.T) *etcd {
	e := &etcd{last: 4, kept: 1000, term: 5, id: clusterID}
	e.server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.server.Close)
	return e
}

func (e *etcd) client(t *testing.T) *source.Client {
	t.Helper()
	c, err := source.New([]string{e.server.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// do carries out a command.
func (e *etcd) do(c tree.Command) (ev tree.Event, err *tree.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	err = tree.Apply(&e.store, &c, e.last, func(made *tree.Event) { ev = *made })
	if err == nil {
		e.last = ev.Index()
		if !ev.Refresh {
			e.events = append(e.events, ev)
		}
	}
	return ev, err
}

func (e *etcd) set(key, value string) {
	if _, err := e.do(tree.Command{Op: tree.OpSet, Key: key, Value: []byte(value)}); err != nil {
		panic(err)
	}
}

func (e *etcd) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	e.mu.Lock()
	head, events := e.last, e.events[max(0, len(e.events)-e.kept):]
	events = events[:len(events)-min(e.late, len(events))]
	wrote, term, id, read, ahead, cutOff := e.wrote, e.term, e.id, e.read, e.ahead, e.cutOff
	e.mu.Unlock()
	h := w.Header()
	h.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	h.Set("X-Etcd-Cluster-Id", strconv.FormatUint(id, 16))
	if r.URL.Path == "/v2/auth/enable" {
		fmt.Fprintf(w, `{"enabled":%t}`, e.auth)
		return
	}
	if r.URL.Path == "/health" && cutOff {
		http.Error(w, `{"health":"false"}`, http.StatusServiceUnavailable)
		return
	}
	key := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v2/keys"), "/")
	if key == "" {
		key = "/"
	}
	h.Set("X-Raft-Term", strconv.FormatUint(term, 10))
	switch {
	case r.Form.Get("wait") == "true":
		from, _ := strconv.ParseUint(r.Form.Get("waitIndex"), 10, 64)
		h.Set("X-Etcd-Index", fmt.Sprint(head))
		if len(events) == e.kept && tree.Index(from) < events[0].Index() {
			e.fail(w, &tree.Error{Code: tree.CodeEventIndexClosed, Index: head})
			return
		}
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for i := range events {
			if events[i].Index() >= tree.Index(from) {
				_, _ = w.Write(tree.AppendEvent(nil, &events[i]))
				return
			}
		}
		<-r.Context().Done()
	case r.Method == http.MethodPut:
		c := tree.Command{Op: tree.OpSet, Key: key, Value: []byte(r.Form.Get("value")), Refresh: r.Form.Get("refresh") == "true"}
		if ttl, _ := strconv.Atoi(r.Form.Get("ttl")); ttl > 0 {
			c.Expires = int64(ttl) * 1e18 / 1e9
			c.Expires += 2e18
		}
		ev, err := e.do(c)
		if err != nil {
			e.fail(w, err)
			return
		}
		if wrote != nil {
			wrote(&ev)
		}
		h.Set("X-Etcd-Index", fmt.Sprint(ev.Index()))
		n := ev.Encoded(tree.AppendEvent(nil, &ev))
		if e.copse && r.Form.Get("encoding") == "base64" {
			n.JSON = n.AppendBase64(nil)
		}
		_, _ = w.Write(n.JSON)
	default:
		e.list(w, r, key)
		if r.Method == http.MethodHead {
			e.mu.Lock()
			asked := e.asked
			e.asked = nil
			e.mu.Unlock()
			if asked != nil {
				asked()
			}
		}
		if read != nil && r.Method == http.MethodGet && key == "/" {
			read()
		}
	}
}

func (e *etcd) fail(w http.ResponseWriter, err *tree.Error) {
	w.Header().Set("X-Etcd-Index", fmt.Sprint(err.Index))
	w.WriteHeader(400)
	_, _ = w.Write(tree.AppendError(nil, err))
}

func (e *etcd) list(w http.ResponseWriter, r *http.Request, key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("X-Etcd-Index", fmt.Sprint(e.last))
	if r.Method == http.MethodGet && e.busy {
		defer func() { e.last++ }()
	}
	n, err := tree.Find(&e.store, key)
	if err != nil {
		w.Header().Del("X-Raft-Term")
		w.WriteHeader(404)
		err.Index = e.last
		_, _ = w.Write(tree.AppendError(nil, err))
		return
	}
	if n.Dir {
		_, _ = w.Write(e.store.List(nil, &n, &tree.Query{Recursive: true}, 0))
		return
	}
	_, _ = w.Write((&tree.Query{}).AppendFile(nil, &n, 0))
}

func (e *etcd) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, _ := json.Marshal(e.store.Below("/"))
	return string(b)
}
