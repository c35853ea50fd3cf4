package etcdstore

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"copse/bench/v2api"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v2error"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
)

// Do carries out a request as etcd's applier does. expires is the absolute
// expiration that the member which received the request computed from its ttl.
func (s *Store) Do(r *v2api.Request, expires *time.Time) (*v2api.Event, *v2api.Fault) {
	key := Path(r.Key)
	ttl := v2store.TTLOptionSet{Refresh: r.Refresh}
	if expires != nil {
		ttl.ExpireTime = *expires
	}
	var ev *v2store.Event
	var err error
	switch {
	case r.Method == http.MethodGet:
		ev, err = s.Get(key, r.Recursive, r.Sorted)
	case r.Method == http.MethodPost:
		ev, err = s.Create(key, r.Dir, r.Value, true, ttl)
	case r.Method == http.MethodDelete && r.Compares():
		ev, err = s.CompareAndDelete(key, r.PrevValue, r.PrevIndex)
	case r.Method == http.MethodDelete:
		ev, err = s.Delete(key, r.Dir, r.Recursive)
	case r.Compares():
		ev, err = s.CompareAndSwap(key, r.PrevValue, r.PrevIndex, r.Value, ttl)
	case r.PrevExist == "true":
		ev, err = s.UpdateNode(key, r.Value, ttl)
	case r.PrevExist == "false":
		ev, err = s.Create(key, r.Dir, r.Value, false, ttl)
	default:
		ev, err = s.Set(key, r.Dir, r.Value, ttl)
	}
	if err != nil {
		return nil, fault(err)
	}
	return event(ev), nil
}

// Has reports whether there is a node at key.
func (s *Store) Has(key string) bool {
	_, err := s.Get(Path(key), false, false)
	return err == nil
}

// Due is the node that has to expire next.
func (s *Store) Due() (key string, at time.Time, ok bool) {
	heap := s.Field("ttlKeyHeap").Elem().FieldByName("array")
	if heap.Len() == 0 {
		return "", time.Time{}, false
	}
	top := heap.Index(0).Elem()
	end := top.FieldByName("ExpireTime")
	at = reflect.NewAt(end.Type(), end.Addr().UnsafePointer()).Elem().Interface().(time.Time)
	return strings.TrimPrefix(top.FieldByName("Path").String(), Prefix), at, true
}

// Expire removes the node at key because its time has come, even if another is due
// first, and returns the event.
func (s *Store) Expire(key string) (*v2api.Event, error) {
	ev, err := s.Delete(Path(key), true, true)
	if err != nil {
		return nil, err
	}
	e := event(ev)
	e.Action = v2store.Expire
	return e, nil
}

// Delay puts off the end of everything that has a ttl.
func (s *Store) Delay(by time.Duration) {
	heap := s.Field("ttlKeyHeap").Elem().FieldByName("array")
	for i := range heap.Len() {
		end := heap.Index(i).Elem().FieldByName("ExpireTime")
		at := reflect.NewAt(end.Type(), end.Addr().UnsafePointer()).Interface().(*time.Time)
		*at = at.Add(by)
	}
}

func fault(err error) *v2api.Fault {
	var refused *v2error.Error
	if !errors.As(err, &refused) {
		return &v2api.Fault{Code: v2error.EcodeRaftInternal, Message: err.Error()}
	}
	return &v2api.Fault{
		Code:    refused.ErrorCode,
		Message: refused.Message,
		Cause:   strings.TrimPrefix(refused.Cause, Prefix),
		Index:   refused.Index,
	}
}

func event(ev *v2store.Event) *v2api.Event {
	ev = Trim(ev)
	e := &v2api.Event{Action: ev.Action, Node: node(ev.Node)}
	if ev.PrevNode != nil {
		prev := node(ev.PrevNode)
		e.Prev = &prev
	}
	return e
}

func node(n *v2store.NodeExtern) v2api.Node {
	out := v2api.Node{Key: n.Key, Dir: n.Dir, Expiration: n.Expiration, Modified: n.ModifiedIndex, Created: n.CreatedIndex}
	if n.Value != nil {
		out.Value = *n.Value
	}
	for _, child := range n.Nodes {
		out.Nodes = append(out.Nodes, node(child))
	}
	return out
}
