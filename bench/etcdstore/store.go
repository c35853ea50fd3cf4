package etcdstore

import (
	"reflect"
	"strings"
	"time"
	"unsafe"

	"github.com/jonboulle/clockwork"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
)

// Prefix is where etcd keeps the keys of clients inside its store; its HTTP
// handlers put it before each key, and remove it from the store's answers.
const Prefix = "/1"

// Store is the v2store of etcd 3.5 with a clock that is set by hand.
type Store struct {
	v2store.Store
	Clock clockwork.FakeClock
}

// New returns an empty store whose window holds the given number of events.
func New(window int, now time.Time) *Store {
	s := &Store{Store: v2store.New("/0", Prefix), Clock: clockwork.NewFakeClockAt(now)}
	// The clock can't be set from outside, nor can the length of the window.
	clock := s.Field("clock")
	clock = reflect.NewAt(clock.Type(), unsafe.Pointer(clock.UnsafeAddr())).Elem()
	clock.Set(reflect.ValueOf(s.Clock))
	queue := s.Field("WatcherHub").Elem().FieldByName("EventHistory").Elem().FieldByName("Queue")
	queue.FieldByName("Capacity").SetInt(int64(window))
	queue.FieldByName("Events").Set(reflect.ValueOf(make([]*v2store.Event, window)))
	return s
}

// Field is a field of the store's own struct.
func (s *Store) Field(name string) reflect.Value {
	return reflect.ValueOf(s.Store).Elem().FieldByName(name)
}

// SetIndex moves the index, as changes do that no client can see.
func (s *Store) SetIndex(index uint64) { s.Field("CurrentIndex").SetUint(index) }

// Path is the store's name for a client's key.
func Path(key string) string { return Prefix + strings.TrimSuffix(key, "/") }

// Trim removes the prefix from a copy of the store's answer.
func Trim(ev *v2store.Event) *v2store.Event {
	ev = ev.Clone()
	trim(ev.Node)
	trim(ev.PrevNode)
	return ev
}

func trim(n *v2store.NodeExtern) {
	if n != nil {
		n.Key = strings.TrimPrefix(n.Key, Prefix)
		for _, child := range n.Nodes {
			trim(child)
		}
	}
}

// UpdateNode is the store's Update, with directories updated as etcd up to 3.4
// did.
//
// 3.5 added a check of an error that 3.4 overlooked, and answers each update of
// a directory's time to live with 500, in process too. So the directory is made
// to look like an empty file during the call, which disables the check
// and nothing else, and the events are corrected afterwards. As in 3.4,
// the stored modifiedIndex stays the same.
func (s *Store) UpdateNode(key, value string, ttl v2store.TTLOptionSet) (*v2store.Event, error) {
	node := s.node(key)
	if !node.IsValid() || node.FieldByName("Children").IsNil() || value != "" || key == Prefix {
		return s.Update(key, value, ttl)
	}
	children, modified := node.FieldByName("Children"), node.FieldByName("ModifiedIndex")
	keptChildren, keptModified := reflect.ValueOf(children.Interface()), modified.Uint()
	children.SetZero()
	ev, err := s.Update(key, value, ttl)
	children.Set(keptChildren)
	modified.SetUint(keptModified)
	if ev != nil { // watchers and the history hold the same ev
		ev.Node.Dir, ev.Node.Value = true, nil
		ev.PrevNode.Dir, ev.PrevNode.Value = true, nil
	}
	return ev, err
}

// node is the store's own node at key; invalid if there is none.
func (s *Store) node(key string) reflect.Value {
	n := s.Field("Root").Elem()
	for _, name := range strings.Split(key, "/")[1:] {
		child := n.FieldByName("Children").MapIndex(reflect.ValueOf(name))
		if !child.IsValid() {
			return child
		}
		n = child.Elem()
	}
	return n
}
