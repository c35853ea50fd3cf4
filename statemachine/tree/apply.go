package tree

// Apply carries out c on s and passes each event to emit, in index order. last is
// the index of the latest change. If c is refused, Apply changes nothing and returns
// the error. emit must not keep an event after it returns.
func Apply(s Store, c *Command, last Index, emit func(*Event)) *Error {
	a := applier{store: s, cmd: c, last: last}
	var ev *Event
	var err *Error
	switch c.Op {
	case OpSet:
		ev, err = a.set()
	case OpCreate:
		ev, err = a.create(c.Key)
	case OpCreateInOrder:
		ev, err = a.create(child(c.Key, InOrderName(last+1)))
	case OpUpdate:
		ev, err = a.update()
	case OpCompareAndSwap:
		ev, err = a.compareAndSwap()
	case OpDelete:
		ev, err = a.remove()
	case OpCompareAndDelete:
		ev, err = a.compareAndDelete()
	case OpExpire:
		a.expire(emit)
	default:
		err = a.fail(CodeRaftInternal, "unknown operation")
	}
	if ev != nil {
		emit(ev)
	}
	return err
}

// applier carries out one command.
type applier struct {
	store Store
	cmd   *Command
	last  Index
}

func (a *applier) fail(code Code, cause string) *Error {
	return &Error{Code: code, Cause: cause, Index: a.last}
}

func (a *applier) event(action Action, n Node) *Event {
	return &Event{Action: action, Node: n, Refresh: a.cmd.Refresh, Now: a.cmd.Now}
}

// find is Find in the applier's store; its errors carry the latest index.
func (a *applier) find(key string) (Node, *Error) {
	n, err := Find(a.store, key)
	if err != nil {
		err.Index = a.last
	}
	return n, err
}

func (a *applier) set() (*Event, *Error) {
	c := a.cmd
	prev, err := a.find(c.Key)
	if err != nil && (err.Code != CodeKeyNotFound || c.Refresh) {
		return nil, err
	}
	existed := err == nil
	if c.Key == "/" {
		return nil, a.fail(CodeRootReadOnly, "/")
	}
	if existed && prev.Dir {
		return nil, a.fail(CodeNotFile, c.Key)
	}
	n := a.newNode(c.Key, c.Value)
	if c.Refresh {
		n.keepValue(&prev)
	}
	ev := a.event(ActionSet, n)
	if existed {
		ev.Prev, ev.HasPrev = prev, true
		a.store.Put(&ev.Node, &ev.Prev) // of the event, since what Put gets is on the heap
		return ev, nil
	}
	a.makeParents(c.Key)
	a.store.Put(&ev.Node, nil)
	return ev, nil
}

// create makes a new node at key. Like v2, it ignores Refresh.
func (a *applier) create(key string) (*Event, *Error) {
	if key == "/" {
		return nil, a.fail(CodeRootReadOnly, "/")
	}
	_, err := a.find(key)
	if err == nil {
		return nil, a.fail(CodeNodeExist, key)
	}
	if err.Code != CodeKeyNotFound {
		return nil, err
	}
	ev := a.event(ActionCreate, a.newNode(key, a.cmd.Value))
	ev.Refresh = false
	a.makeParents(key)
	a.store.Put(&ev.Node, nil)
	return ev, nil
}

func (a *applier) newNode(key string, value []byte) Node {
	n := Node{Key: key, Value: value, Dir: a.cmd.Dir, Expires: a.cmd.Expires, Modified: a.last + 1, Created: a.last + 1, Written: a.last + 1}
	if n.Dir {
		n.Value, n.Written = nil, 0
	}
	return n
}

// makeParents makes the missing directories above key. The caller has checked
// that no file is in the way.
func (a *applier) makeParents(key string) {
	dir := Parent(key)
	if dir == "/" {
		return
	}
	if _, ok := a.store.Get(dir); ok {
		return
	}
	a.makeParents(dir)
	a.store.Put(&Node{Key: dir, Dir: true, Modified: a.last + 1, Created: a.last + 1}, nil)
}

func (a *applier) update() (*Event, *Error) {
	c := a.cmd
	if c.Key == "/" {
		return nil, a.fail(CodeRootReadOnly, "/")
	}
	prev, err := a.find(c.Key)
	if err != nil {
		return nil, err
	}
	if prev.Dir && len(c.Value) != 0 {
		return nil, a.fail(CodeNotFile, c.Key)
	}
	return a.rewrite(ActionUpdate, prev), nil
}

func (a *applier) compareAndSwap() (*Event, *Error) {
	c := a.cmd
	if c.Key == "/" {
		return nil, a.fail(CodeRootReadOnly, "/")
	}
	prev, err := a.match()
	if err != nil {
		return nil, err
	}
	return a.rewrite(ActionCompareAndSwap, prev), nil
}

// rewrite gives an existing node the command's value and time to live. A
// directory has no value, and as in v2 the stored directory keeps its old modified
// index although the event shows the new one.
func (a *applier) rewrite(action Action, prev Node) *Event {
	n := prev
	n.Expires = a.cmd.Expires
	n.Modified = a.last + 1
	if !n.Dir && !a.cmd.Refresh {
		n.Value, n.Unread, n.Written = a.cmd.Value, Node{}.Unread, n.Modified
	}
	ev := a.event(action, n)
	ev.Prev, ev.HasPrev = prev, true
	stored := &ev.Node
	if n.Dir {
		kept := n
		kept.Modified, stored = prev.Modified, &kept
	}
	a.store.Put(stored, &ev.Prev)
	return ev
}

func (a *applier) remove() (*Event, *Error) {
	c := a.cmd
	if c.Key == "/" {
		return nil, a.fail(CodeRootReadOnly, "/")
	}
	prev, err := a.find(c.Key)
	if err != nil {
		return nil, err
	}
	if prev.Dir && !c.Recursive {
		if !c.Dir {
			return nil, a.fail(CodeNotFile, c.Key)
		}
		if a.store.HasChildren(c.Key) {
			return nil, a.fail(CodeDirNotEmpty, c.Key)
		}
	}
	return a.takeOut(ActionDelete, prev, a.last+1), nil
}

func (a *applier) compareAndDelete() (*Event, *Error) {
	c := a.cmd
	if c.Key == "/" {
		return nil, a.fail(CodeNotFile, "") // v2 has no root check here, and no cause
	}
	prev, err := a.match()
	if err != nil {
		return nil, err
	}
	return a.takeOut(ActionCompareAndDelete, prev, a.last+1), nil
}

// expireBytes is about how many bytes of values one command expires at most, because
// each event holds the expired value.
const expireBytes = 1 << 20

// expire removes the nodes that are due at the command's Now, earliest first.
func (a *applier) expire(emit func(*Event)) {
	size := 0
	for i := range Index(max(a.cmd.Limit, 0)) {
		n, ok := a.store.NextExpiry(a.cmd.Now)
		if !ok || size >= expireBytes {
			return
		}
		size += n.Len()
		emit(a.takeOut(ActionExpire, n, a.last+1+i))
	}
}

func (a *applier) takeOut(action Action, prev Node, at Index) *Event {
	a.store.Remove(&prev)
	ev := a.event(action, Node{Key: prev.Key, Dir: prev.Dir, Modified: at, Created: prev.Created})
	ev.Prev, ev.HasPrev, ev.Refresh = prev, true, false
	return ev
}
