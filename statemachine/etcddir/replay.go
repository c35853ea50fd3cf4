package etcddir

import (
	"strings"

	"copse/statemachine/tree"
)

// replay applies the entries of the log to the store, as etcd did.
type replay struct {
	store *store
	last  tree.Index
	now   int64 // that the ttl of events counts from

	// refuseDirs: a directory can't be updated. etcd 3.5 refuses that, also when it
	// replays what an earlier version had accepted.
	refuseDirs bool
	unpadded   bool // a POST would have named its node as etcd before 2.2 did

	window  window
	counted Counts
}

// Counts says what was found in a directory.
type Counts struct {
	Entries     int // of the log, behind the snapshot
	Uncommitted int // of these, behind the last commit that was written down
	Foreign     int // of these, for v3 only
	Refused     int // of these, updates of directories that etcd 3.5 refuses

	Nodes   int
	Hidden  int // nodes that no listing of the root shows
	Expired int // nodes whose time to live is over
	Expires int // nodes with a time to live, expired or not
}

// entry applies one entry.
func (r *replay) entry(e *entry) error {
	r.counted.Entries++
	if e.kind == changeEntry {
		c, err := parseChange(e.data)
		if err != nil {
			return err
		}
		return r.changeMembers(c)
	}
	if len(e.data) == 0 {
		return nil // a new leader's first
	}
	q, ok, err := parseRequest(e.data)
	if err == nil && ok && q.method == "POST" && r.unpadded {
		return ErrOld
	}
	if err == nil && ok {
		r.request(&q)
	} else if err == nil {
		r.counted.Foreign++
	}
	return err
}

func (r *replay) request(q *request) {
	key := tree.Clean(q.path)
	c := tree.Command{Key: key, Value: []byte(q.value), Dir: q.dir, Recursive: q.recursive, Refresh: q.refresh,
		PrevValue: q.prevValue, PrevIndex: tree.Index(q.prevIndex), Expires: q.expires, Now: r.now}
	compares := q.prevIndex > 0 || q.prevValue != ""
	switch {
	case q.method == "SYNC":
		r.expire(q.cut)
		return
	case q.method == "POST":
		c.Op = tree.OpCreateInOrder
	case q.method == "DELETE":
		c.Op = tree.OpDelete
		if compares {
			c.Op = tree.OpCompareAndDelete
		}
	case q.method != "PUT":
		return // a read
	case q.prevExist != nil && !*q.prevExist:
		c.Op = tree.OpCreate
	case compares:
		c.Op = tree.OpCompareAndSwap
	case q.prevExist != nil:
		c.Op = tree.OpUpdate
	case strings.HasPrefix(q.path, membersKey+"/") && strings.HasSuffix(q.path, attributesName):
		r.publish(q)
		return
	default:
		c.Op = tree.OpSet
	}
	if key == "/" || c.Op != tree.OpCreateInOrder && (key == keySpace || key == clusterSpace) {
		return // etcd changes none of these
	}
	if n, ok := r.store.Get(key); c.Op == tree.OpUpdate && ok && n.Dir && r.refuseDirs {
		r.counted.Refused++
		return
	}
	if c.Op == tree.OpSet || c.Op == tree.OpCreate || c.Op == tree.OpCreateInOrder {
		c.Expires = permanent(c.Expires)
	}
	r.apply(c)
}

// permanent makes an expiration that etcd takes for none 0: one before the year 2000.
func permanent(expires int64) int64 {
	if expires < 946684800e9 {
		return 0
	}
	return expires
}

// apply carries out c. What v2 refuses changes nothing.
func (r *replay) apply(c tree.Command) {
	_ = tree.Apply(r.store, &c, r.last, r.took)
}

// expire removes all nodes that are due at the time.
func (r *replay) expire(due int64) {
	for more := true; more; {
		before := r.last
		r.apply(tree.Command{Op: tree.OpExpire, Key: "/", Now: due, Limit: 1 << 20})
		more = r.last > before
	}
}

// took takes in an event. It may keep the values, which are the store's.
func (r *replay) took(e *tree.Event) {
	r.last = e.Index()
	r.window.add(*e)
}

// windowSize is how many events etcd remembers.
const windowSize = 1000

// window has the latest events of the key space.
type window struct {
	events []tree.Event
	start  tree.Index // from here on, all are there
}

// add adds an event of the whole tree.
func (w *window) add(e tree.Event) {
	if !tree.Within(keySpace, e.Node.Key) {
		return
	}
	e.Node.Key = e.Node.Key[len(keySpace):]
	if e.HasPrev {
		e.Prev.Key = strings.TrimPrefix(e.Prev.Key, keySpace)
	}
	if w.events = append(w.events, e); len(w.events) > windowSize {
		w.start = w.events[0].Index() + 1
		w.events[0] = tree.Event{} // its values are free
		w.events = w.events[1:]
	}
}
