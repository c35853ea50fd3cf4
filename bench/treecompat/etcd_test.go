package treecompat

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"copse/bench/etcdstore"
	"copse/statemachine/tree"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v2error"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
)

// etcd is the v2store of etcd 3.5, called as its HTTP handlers do.
type etcd struct {
	store *etcdstore.Store
	// faults are the store's miscounts in its statistics, see exceptions_test.go.
	faults map[string]int
}

func newEtcd(window int, now int64) *etcd {
	return &etcd{store: etcdstore.New(window, time.Unix(0, now)), faults: map[string]int{}}
}

// do carries out c and returns the client's answer.
func (e *etcd) do(c tree.Command) (answer string) {
	var ev *v2store.Event
	var err error
	key, value := etcdstore.Path(c.Key), string(c.Value)
	ttl := v2store.TTLOptionSet{Refresh: c.Refresh}
	if c.Expires != 0 {
		ttl.ExpireTime = time.Unix(0, c.Expires)
	}
	switch c.Op {
	case tree.OpSet:
		ev, err = e.store.Set(key, c.Dir, value, ttl)
	case tree.OpCreate, tree.OpCreateInOrder:
		ev, err = e.store.Create(key, c.Dir, value, c.Op == tree.OpCreateInOrder, ttl)
	case tree.OpUpdate:
		ev, err = e.store.UpdateNode(key, value, ttl)
	case tree.OpCompareAndSwap:
		ev, err = e.store.CompareAndSwap(key, c.PrevValue, uint64(c.PrevIndex), value, ttl)
	case tree.OpDelete:
		ev, err = e.store.Delete(key, c.Dir, c.Recursive)
	case tree.OpCompareAndDelete:
		ev, err = e.store.CompareAndDelete(key, c.PrevValue, uint64(c.PrevIndex))
	}
	e.noteFault(c.Op, err)
	return print(ev, err)
}

func (e *etcd) get(key string, recursive bool) string {
	ev, err := e.store.Get(etcdstore.Path(key), recursive, true)
	return print(ev, err)
}

// print is the body that etcd's handlers send for a result of the store.
func print(ev *v2store.Event, err error) string {
	var refused *v2error.Error
	switch {
	case errors.As(err, &refused):
		trimmed := *refused
		trimmed.Cause = strings.TrimPrefix(trimmed.Cause, etcdstore.Prefix)
		return encode(trimmed)
	case err != nil:
		return "no v2 error: " + err.Error()
	}
	return encode(etcdstore.Trim(ev))
}

func encode(v any) string {
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(v); err != nil {
		panic(err)
	}
	return out.String()
}

// etcdWatch is one watcher of the store; its events are in its channel.
type etcdWatch struct {
	watch   *tree.Watch
	watcher v2store.Watcher
	past    []string // found in the history when the watch began
	last    uint64   // the index of the latest event
}

func (e *etcd) watch(w *tree.Watch) (*etcdWatch, error) {
	ew := &etcdWatch{watch: w}
	since := uint64(w.Since)
	for {
		watcher, err := e.store.Watch(etcdstore.Path(w.Key), w.Recursive, w.Stream, since)
		if err != nil {
			return nil, err
		}
		ew.watcher = watcher
		if len(watcher.EventChan()) == 0 {
			return ew, nil // parked
		}
		hit := <-watcher.EventChan()
		since = hit.Node.ModifiedIndex + 1
		if !replayObeysLiveRules(w, hit) {
			continue
		}
		ew.past = append(ew.past, print(hit, nil))
		if !pastStreamGoesOn(w) {
			return ew, nil
		}
	}
}

// take returns what came since the last call.
func (ew *etcdWatch) take() []string {
	got := ew.past
	ew.past = nil
	for {
		select {
		case ev, open := <-ew.watcher.EventChan():
			if !open {
				return got
			}
			if !removalToldTwice(ew, ev) {
				got = append(got, print(ev, nil))
			}
			ew.last = ev.Node.ModifiedIndex
		default:
			return got
		}
	}
}

// statistics are the store's counters, by v2's names, with the known miscounts
// corrected.
func (e *etcd) statistics() map[string]int {
	counters := map[string]int{}
	if err := json.Unmarshal(e.store.JsonStats(), &counters); err != nil {
		panic(err)
	}
	for name, n := range e.faults {
		counters[name] += n
	}
	return counters
}
