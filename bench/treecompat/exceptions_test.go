package treecompat

import (
	"errors"
	"strings"

	"copse/bench/etcdstore"
	"copse/statemachine/tree"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v2error"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v2store"
)

// This file lists the exceptions: where etcd is wrong, or copse differs on
// purpose. Everything else must be equal, byte for byte.
//
// etcdstore.UpdateNode corrects how 3.5 updates a directory.
//
// Two things are avoided by the choice of input. Nodes never expire in the same
// nanosecond: v2 would remove them in the order of an unstable heap, copse by
// key. And no text contains \b or \f, which releases of Go newer than that of
// etcd 3.4 write in that form instead of as \u0008 and \u000c.

// noteFault records the store's miscounts: v2 counts some failures as successes,
// and one of them twice. In copse a failure is a failure of the requested
// operation.
func (e *etcd) noteFault(op tree.Op, err error) {
	var refused *v2error.Error
	if !errors.As(err, &refused) {
		return
	}
	code := tree.Code(refused.ErrorCode)
	asSuccess := func(name string) {
		e.faults[name+"Success"]--
		e.faults[name+"Fail"]++
	}
	switch {
	case (op == tree.OpCreate || op == tree.OpCreateInOrder) && code == tree.CodeNotDir:
		e.faults["setsFail"]--
	case op == tree.OpUpdate && (code == tree.CodeRootReadOnly || code == tree.CodeNotFile):
		asSuccess("update")
	case op == tree.OpCompareAndSwap && code == tree.CodeRootReadOnly:
		asSuccess("compareAndSwap")
	case op == tree.OpDelete && code == tree.CodeRootReadOnly:
		asSuccess("delete")
	case op == tree.OpCompareAndDelete && (code == tree.CodeCompareFailed || code == tree.CodeNotFile):
		asSuccess("compareAndDelete")
	}
}

// replayObeysLiveRules: v2's replay shows hidden nodes to recursive watchers
// above them, and a directory's removal to all keys that begin with the same
// letters ("/dx" for "/d"). In copse the rules for past events are those for live ones.
func replayObeysLiveRules(w *tree.Watch, hit *v2store.Event) bool {
	key := strings.TrimPrefix(hit.Node.Key, etcdstore.Prefix)
	if tree.Within(w.Key, key) && tree.HiddenBelow(w.Key, key) {
		return false
	}
	return key == w.Key || tree.Within(w.Key, key) || tree.Within(key, w.Key)
}

// pastStreamGoesOn: a v2 stream that starts with a past event gets that
// one and then nothing ever. In copse it gets all past events and continues live.
func pastStreamGoesOn(w *tree.Watch) bool { return w.Stream }

// removalToldTwice: a v2 stream on exactly the key that is removed gets the
// event twice. In copse it gets it once.
func removalToldTwice(ew *etcdWatch, ev *v2store.Event) bool {
	return ew.watch.Stream && ev.Node.ModifiedIndex == ew.last
}
