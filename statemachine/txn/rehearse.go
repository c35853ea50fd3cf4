package txn

import (
	"fmt"

	"copse/statemachine/tree"
)

// Rehearse finds out what t would do to s, which it doesn't change; last is the index of the latest
// change. If t succeeds, carrying out the commands one after the other has the same effect: each
// takes one index. size is that of the keys and values in their events. Otherwise the error's cause
// names the compare or the operation, by its place.
func Rehearse(s Store, t *Txn, last tree.Index) (list []tree.Command, size int, refused *tree.Error) {
	r := &rehearsal{over: newOverlay(s), last: last}
	refuse := func(list string, i int, err *tree.Error) *tree.Error {
		return &tree.Error{Code: err.Code, Cause: fmt.Sprintf("%s[%d]: %s", list, i, err.Cause), Index: last}
	}
	for i := range t.Compares {
		if err := t.Compares[i].holds(s); err != nil {
			return nil, 0, refuse("compare", i, err)
		}
	}
	for i := range t.Ops {
		if err := r.perform(&t.Ops[i]); err != nil {
			return nil, r.bytes, refuse("ops", i, err)
		}
	}
	return r.steps, r.bytes, nil
}

// rehearsal is a transaction that is tried.
type rehearsal struct {
	over   *overlay
	last   tree.Index
	steps  []tree.Command
	copied struct{ nodes, bytes int }
	bytes  int // of the events
}

// perform does one operation.
func (r *rehearsal) perform(op *tree.Command) *tree.Error {
	if !copies(op.Op) {
		return r.step(op)
	}
	from, err := r.find(op)
	if err != nil {
		return err
	}
	if err := r.copy(op, from); err != nil || op.Op == tree.OpCopy {
		return err
	}
	return r.step(&tree.Command{Op: tree.OpDelete, Key: op.Key, Recursive: from.Dir, Now: op.Now})
}

// find returns what is to be copied.
func (r *rehearsal) find(op *tree.Command) (tree.Node, *tree.Error) {
	if op.Key == "/" {
		return tree.Node{}, &tree.Error{Code: tree.CodeRootReadOnly, Cause: "/"}
	}
	return tree.Find(r.over, op.Key)
}

// copy makes each node below from, and itself.
func (r *rehearsal) copy(op *tree.Command, from tree.Node) *tree.Error {
	keys := []string{from.Key}
	if from.Dir {
		r.over.Walk(from.Key, func(key string) (more, below bool) {
			keys = append(keys, key)
			return r.copied.nodes+len(keys) <= CopiedNodes, true
		})
	}
	for i, key := range keys {
		n, _ := r.over.Get(key)
		make := tree.Command{Op: tree.OpCreate, Key: op.PrevValue + key[len(op.Key):], Dir: n.Dir, Value: n.Value, Expires: n.Expires, Now: op.Now}
		if i == 0 && op.Recursive {
			make.Op = tree.OpSet
		}
		r.copied.nodes++
		r.copied.bytes += len(make.Key) + len(make.Value)
		if r.copied.nodes > CopiedNodes || r.copied.bytes > CopiedBytes {
			return tooLarge("%s: more than %d nodes, or %d bytes of keys and values, are to be copied", op.Key, CopiedNodes, CopiedBytes)
		}
		if err := r.step(&make); err != nil {
			return err
		}
	}
	return nil
}

// step carries out a command on the overlay.
func (r *rehearsal) step(c *tree.Command) *tree.Error {
	err := tree.Apply(r.over, c, r.last, func(e *tree.Event) {
		r.bytes += len(e.Node.Key) + len(e.Node.Value) + len(e.Prev.Value)
	})
	if err != nil {
		return err
	}
	if r.bytes > EventBytes {
		return tooLarge("%s: the events have more than %d bytes of keys and values", c.Key, EventBytes)
	}
	r.steps = append(r.steps, *c)
	r.last++
	return nil
}

func tooLarge(format string, args ...any) *tree.Error {
	return &tree.Error{Code: tree.CodeInvalidField, Cause: fmt.Sprintf(format, args...)}
}
