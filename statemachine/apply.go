package statemachine

import (
	"bytes"
	"errors"
	"slices"

	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// outSlack is how many bytes of an entry's output may be kept for nothing.
const outSlack = 64 << 10

// eventSlack is about what an event's JSON takes besides two keys and values.
const eventSlack = 240

// outStart is the size up to which an entry's output gets its buffer at once.
const outStart = 256 << 10

// errOrdered stops a replica whose log is another shard's.
var errOrdered = errors.New("a batch with indexes from an order shard, which this replica is not to have: was the cluster made with another number of shards?")

// applyEntry applies one raft entry, which is a batch, and adds what happened to res.
func (m *Machine) applyEntry(v *view, e *sm.Entry, res *ApplyResult) (sm.Result, error) {
	result := sm.Result{Value: e.Index}
	if len(e.Cmd) == 0 {
		return result, nil
	}
	batch, err := tree.ReadBatch(e.Cmd)
	if err != nil {
		return result, err
	}
	stale, err := m.beginBatch(v, batch)
	if err != nil {
		return result, err
	}
	before := len(res.Events)
	out := make([]byte, 0, min(2*len(e.Cmd), outStart))
	for {
		more, err := batch.NextSubmission()
		if err != nil {
			return result, err
		}
		if !more {
			break
		}
		from := len(out)
		if stale {
			err = batch.Skip()
		} else {
			out, err = m.applyCommands(v, batch, out, res)
		}
		if err != nil {
			return result, err
		}
		switch {
		case batch.Submission.Replica != m.replica: // another member's clients wait for it
		case batch.Epoch == 0:
			result.Data = out[from:]
		default:
			res.Outcomes = append(res.Outcomes, Outcome{ID: batch.Submission, Stale: stale, Data: out[from:len(out):len(out)], RaftIndex: e.Index})
		}
	}
	release(res.Events[before:], len(out))
	m.endBatch(v, batch, stale, res)
	return result, nil
}

// beginBatch reports whether the batch is stale, so that nothing of it is applied:
// another leader's batches have begun, or the range that it takes its indexes from is
// settled already.
func (m *Machine) beginBatch(v *view, batch *tree.BatchReader) (stale bool, err error) {
	if batch.Epoch != 0 {
		stale = batch.Epoch < v.meta.epoch
		v.meta.epoch = max(v.meta.epoch, batch.Epoch)
	}
	if batch.Ordered {
		if !m.place.data() {
			return false, errOrdered
		}
		if stale = stale || batch.Range.First <= v.meta.last; !stale {
			v.meta.last = batch.Range.First - 1 // while the batch is applied, the running index
		}
	}
	return stale, nil
}

// endBatch settles the batch's range, whatever was used of it.
func (m *Machine) endBatch(v *view, batch *tree.BatchReader, stale bool, res *ApplyResult) {
	if batch.Ordered && !stale {
		v.meta.last = batch.Range.Last
	}
	if batch.Epoch != 0 {
		res.Batches = append(res.Batches, BatchID{Epoch: batch.Epoch, Number: batch.Number})
	}
}

// applyCommands applies the commands of a submission and appends their replies to out.
func (m *Machine) applyCommands(v *view, batch *tree.BatchReader, out []byte, res *ApplyResult) ([]byte, error) {
	out = slices.Grow(out, min(eventSlack*batch.Len(), outStart))
	replied := false
	emit := func(ev *tree.Event) {
		v.meta.last = ev.Index()
		var json []byte
		if ev.Action == tree.ActionExpire { // one command makes many
			json = tree.AppendEvent(nil, ev)
			v.meta.stats.ExpireCount++
		} else {
			out, json = appendEventReply(out, ev)
			replied = true
		}
		v.record(ev, len(json))
		res.Events = append(res.Events, ev.Encoded(json))
	}
	for {
		var c tree.Command
		ok, err := batch.Next(&c)
		if err != nil {
			return out, err
		}
		if !ok {
			break
		}
		var failed *tree.Error
		replied = false
		switch {
		case batch.Ordered:
			failed = m.applyAt(v, batch, &c, emit)
		case c.Op.Membership():
			failed, err = v.changeMembers(&c)
		case c.Op == tree.OpAsk:
			failed, err = m.handOut(v, &c, res)
		case c.Op == tree.OpClose:
			failed = m.settle(v, &c)
		case m.place.slots > 1:
			failed = &tree.Error{Code: tree.CodeRaftInternal, Cause: "there are several shards, and no index for this", Index: v.meta.last}
		default:
			failed = tree.Apply(v, &c, v.meta.last, emit)
			v.meta.stats.CountWrite(c.Op, failed == nil)
		}
		switch {
		case err != nil:
			return out, err
		case failed != nil:
			out = appendErrorReply(out, failed)
		case !replied:
			out = appendDoneReply(out, v.meta.last)
		}
	}
	return out, nil
}

// release keeps the window in memory, which holds on to notices, from holding
// on to all of a buffer of size bytes in which they are just a small part.
func release(notices []tree.EncodedEvent, size int) {
	for i := range notices {
		size -= len(notices[i].JSON)
	}
	if size < outSlack {
		return
	}
	for i := range notices {
		notices[i].JSON = bytes.Clone(notices[i].JSON)
	}
}
