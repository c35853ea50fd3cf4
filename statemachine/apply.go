package statemachine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"copse/statemachine/tree"
	"copse/statemachine/txn"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

// maxReplySlack is how many unused bytes of the buffer of an entry's output the event window
// in memory may keep alive.
const maxReplySlack = 64 << 10

// eventOverhead is the approximate size of an event's JSON without its keys and values.
const eventOverhead = 240

// initialReplyBytes limits the buffer that an entry's output starts with. Behind that it is doubled
// (growForEvent): a buffer for each submission would be kept alive by the events that lie in it.
const initialReplyBytes = 256 << 10

// errOrdered stops a replica that has been given the log of another shard.
var errOrdered = errors.New("unexpected batch with indexes from an order shard: was the cluster created with a different number of shards?")

// add applies an entry to the batch of v.
func (m *Machine) add(v *view, e *sm.Entry, res *ApplyResult) (err error) {
	v.meta.raftIndex, v.meta.hash = e.Index, nextHash(v.meta.hash, e.Index, e.Cmd)
	m.published.hashes.put(v.meta.raftIndex, v.meta.hash)
	v.stale = 0
	m.applied.Add(uint64(len(e.Cmd)))
	before := len(res.Events)
	if e.Result, err = m.applyEntry(v, e, res); err != nil {
		return fmt.Errorf("raft entry %d: %w", e.Index, err)
	}
	v.endRecord()
	if m.place.data() {
		for i := range res.Events[before:] {
			m.recent.push(res.Events[before+i].Index)
		}
	}
	v.trim(m.windowFloor(v.meta.last), m.window)
	v.limitNames()
	return nil
}

// applyEntry applies one raft entry, which holds a batch, and adds its results to res.
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
	before, outcomes := len(res.Events), len(res.Outcomes)
	res.cut = 0
	var out []byte
	for {
		more, err := batch.NextSubmission()
		if err != nil {
			return result, err
		}
		if !more {
			break
		}
		from, first := len(out), len(res.Events)
		if stale {
			err = batch.Skip()
		} else {
			out, err = m.applyCommands(v, batch, out, res)
		}
		if err != nil {
			return result, err
		}
		switch {
		case batch.Submission.Replica != m.replica: // clients of another member wait for it
		case batch.Epoch == 0:
			result.Data = out[from:]
		default:
			res.Outcomes = append(res.Outcomes, Outcome{
				ID: batch.Submission, Stale: stale, Data: out[from:len(out):len(out)], RaftIndex: e.Index,
				Late: lateReplies(res.Events[first:]),
			})
		}
	}
	detachEvents(res.Events[before:], cap(out)+res.cut)
	if res.cut >= maxReplySlack {
		for i := range res.Outcomes[outcomes:] {
			o := &res.Outcomes[outcomes+i]
			o.Data = bytes.Clone(o.Data)
		}
	}
	m.endBatch(v, batch, stale, res)
	return result, nil
}

// prepare returns ev as watchers get it, and says whether its JSON is made late: not if the JSON is kept with an
// answer, or is part of a transaction's, unless full says that the ApplyResult holds as much as it may, or there is no
// room for so much JSON. If it isn't, the JSON is yet to be printed into the reply, but that of an expiry, which has
// none, is there.
func (m *Machine) prepare(ev *tree.Event, batch *tree.BatchReader, c *tree.Command, full bool, room int) (n tree.EncodedEvent, late bool) {
	if (ev.IsLarge() || c.Op == tree.OpTxn && room <= 0) && batch.Epoch != 0 && c.Once.ID == "" {
		switch n = ev.Late(m.event); {
		case c.Op != tree.OpTxn:
			return n, true
		case full || n.Size() > room:
			return n.Left(nil), true // see bound
		}
	}
	if n = ev.Encoded(nil); ev.Action == tree.ActionExpire {
		n.JSON = tree.AppendEvent(nil, ev)
	}
	return n, false
}

// lateReplies are those of the events that are replies, and whose JSON is made late.
func lateReplies(events []tree.EncodedEvent) (late []tree.EncodedEvent) {
	for i := range events {
		if events[i].Late != nil && events[i].Action != tree.ActionExpire {
			late = append(late, events[i])
		}
	}
	return late
}

// beginBatch reports whether the batch is stale, in which case none of it is applied (rule
// 4 of docs/SHARDS.md): a leader of a later epoch has started, or the range that the batch
// takes its indexes from is settled already.
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
			v.meta.last = batch.Range.First - 1 // the running index while the batch is applied
		}
	}
	if batch.Clock.Known() && !stale {
		v.meta.clock, v.meta.timed = batch.Clock, batch.Epoch
	}
	return stale, nil
}

// endBatch settles the whole range of the batch, used or not.
func (m *Machine) endBatch(v *view, batch *tree.BatchReader, stale bool, res *ApplyResult) {
	if batch.Ordered && !stale {
		v.meta.last = batch.Range.Last
	}
	if batch.Epoch != 0 {
		res.Batches = append(res.Batches, BatchID{Epoch: batch.Epoch, Number: batch.Number})
	}
}

// applyCommands applies the commands of one submission and appends their replies to out.
func (m *Machine) applyCommands(v *view, batch *tree.BatchReader, out []byte, res *ApplyResult) ([]byte, error) {
	// An event has its key and value twice, if it replaces one as large.
	out = slices.Grow(out, min((replyHead+eventOverhead)*batch.Len()+2*batch.Left(), max(0, initialReplyBytes-len(out))))
	var c tree.Command
	from, events, room := 0, 0, 0 // where the reply to c, and its events, begin; what may be printed of it
	emit := func(ev *tree.Event) {
		v.meta.last = ev.Index()
		n, late := m.prepare(ev, batch, &c, res.held > heldLimit, room)
		switch {
		case ev.Action == tree.ActionExpire: // one command emits many events, and they are no reply
			v.meta.stats.ExpireCount++
		case late:
			out = appendLateReply(out, ev)
		case c.Op == tree.OpTxn:
			out, n.JSON = appendTxnEvent(out, from, ev, n.Binary)
		default:
			out, n.JSON = appendEventReply(out, ev, n.Binary)
		}
		v.record(ev, n.Size())
		room -= n.Size()
		res.Events = append(res.Events, n)
	}
	for {
		ok, err := batch.Next(&c)
		if err != nil {
			return out, err
		}
		if !ok {
			break
		}
		from, events, room = len(out), len(res.Events), txnPrinted
		v.meta.once.newest = v.meta.once.newest || c.Op == tree.OpTxn || c.Once.ID != ""
		if c.Once.ID != "" {
			if out = v.appendAnswered(out, &c, batch.StagedValue); len(out) > from {
				out = m.bound(res, batch, out, from, events)
				continue
			}
		}
		failed, outcome, err := m.applyCommand(v, batch, &c, res, emit)
		switch {
		case err != nil:
			return out, err
		case failed != nil:
			out = appendErrorReply(out, failed)
		case len(out) == from:
			out = appendDoneReply(out, v.meta.last, outcome)
		case c.Op == tree.OpTxn:
			out = endTxnReply(out, from, v.meta.last)
		}
		if c.Op != tree.OpExpire && len(lateReplies(res.Events[events:])) == 0 {
			out = appendBinary(out, from, res.Events[events:])
		}
		if c.Once.ID != "" {
			v.keep(&c, failed, out[from:])
		}
		out = m.bound(res, batch, out, from, events)
	}
	return out, nil
}

// bound counts what the reply that begins at from holds, and its events do, those from first on. Past heldLimit, what is
// large is left to the window, and of a transaction all if something is. What no leader has proposed keeps its answer.
func (m *Machine) bound(res *ApplyResult, batch *tree.BatchReader, out []byte, from, first int) []byte {
	if batch.Epoch == 0 {
		return out
	}
	size, left := len(out)-from, false
	for i := range res.Events[first:] {
		late := res.Events[first+i].Late
		size, left = size+late.Held(), left || late.IsLeft() && out[from] == replyTxn
	}
	if fits := res.held+size <= heldLimit || res.held < heldBefore; !left && (fits || size < freeAnswer) {
		res.held += size
		return out
	}
	for i := first; i < len(res.Events); i++ {
		res.Events[i] = res.Events[i].Left(m.event)
	}
	whole := len(out)
	out = leaveReply(out, from, len(res.Events)-first)
	res.cut += whole - len(out)
	res.held += len(out) - from
	return out
}

// applyCommand applies a command, which emits an event, or fails as v2 defines it, or has
// another outcome.
func (m *Machine) applyCommand(v *view, batch *tree.BatchReader, c *tree.Command, res *ApplyResult, emit func(*tree.Event)) (failed *tree.Error, outcome []byte, err error) {
	v.meta.clock.Receive(c)
	// Kept answers and transactions show all values, and so do the records of names' windows.
	v.leavesUnread = c.Op <= tree.OpExpire && c.PrevValue == "" && c.Once.ID == "" && batch.Epoch != 0 && !v.events.names.limits.on()
	if batch.StagedValue != 0 {
		defer v.endStaged(batch.StagedValue)
		if failed = v.useStaged(c, batch.StagedValue); failed != nil {
			return failed, nil, nil
		}
	}
	switch {
	case c.Op == tree.OpStage && !m.place.order && !v.shared.mirror.On:
		outcome, failed = v.stage(c)
	case batch.Ordered:
		failed, err = m.applyAt(v, batch, c, emit)
	case c.Op.Membership():
		failed, err = v.changeMembers(c)
	case c.Op == tree.OpAuth && !m.place.data():
		outcome, err = v.changeAuth(c)
	case c.Op == tree.OpMirror && m.place.slots <= 1:
		failed, err = v.changeMirror(c, res)
	case v.shared.mirror.On:
		failed = v.mirrorRefusal(errMirrored)
	case c.Op == tree.OpAsk:
		failed, err = m.handOut(v, c, res)
	case c.Op == tree.OpClose:
		failed = m.settle(v, c)
	case m.place.slots > 1:
		failed = &tree.Error{Code: tree.CodeRaftInternal, Cause: "there are several shards, and no index for this", Index: v.meta.last}
	default:
		failed, err = m.carryOut(v, c, v.meta.last, emit)
		v.meta.stats.CountWrite(c.Op, failed == nil)
	}
	return failed, outcome, err
}

// carryOut has package tree carry out a command, or all those of a transaction. last is the index
// before the first that is taken.
func (m *Machine) carryOut(v *view, c *tree.Command, last tree.Index, emit func(*tree.Event)) (failed *tree.Error, err error) {
	if c.Op != tree.OpTxn {
		if refused := v.answerRefusal(c, last); refused != nil {
			return refused, nil
		}
		return tree.Apply(v, c, last, emit), nil
	}
	t, err := txn.Read(c)
	if err != nil {
		return nil, err
	}
	t.Keys(func(key string) bool {
		if m.place.data() && tree.Slot(key, m.place.slots) != m.place.slot {
			failed = elsewhere()
		}
		return failed == nil
	})
	if failed != nil {
		return failed, nil
	}
	steps, size, failed := txn.Rehearse(v, &t, last)
	if refused := v.sizeRefusal(c, size, failed); refused != nil || failed != nil {
		return cmp.Or(refused, failed), nil
	}
	for i := range steps {
		if failed := tree.Apply(v, &steps[i], last+tree.Index(i), emit); failed != nil {
			return nil, fmt.Errorf("a transaction did otherwise than in its rehearsal: %w", failed)
		}
		v.meta.stats.CountWrite(steps[i].Op, true)
	}
	return nil, nil
}

// detachEvents copies what events have of the buffer of the entry's output, of size bytes, if that is a
// small part of it. The event window in memory would otherwise keep all of it alive.
func detachEvents(events []tree.EncodedEvent, size int) {
	for i := range events {
		size -= len(events[i].JSON) + events[i].Binary.Bytes()
	}
	if size < maxReplySlack {
		return
	}
	for i := range events {
		if events[i].Late != nil {
			continue
		}
		events[i].JSON = bytes.Clone(events[i].JSON)
		events[i].Binary.Each(bytes.Clone)
	}
}
