package statemachine

import (
	"bytes"
	"errors"

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

// applyEntry applies one raft entry, which is a batch of commands, and adds
// what happened to news.
func (m *Machine) applyEntry(v *view, e *sm.Entry, news *News) (sm.Result, error) {
	result := sm.Result{Value: e.Index}
	if len(e.Cmd) == 0 {
		return result, nil
	}
	batch, err := tree.ReadBatch(e.Cmd)
	if err != nil {
		return result, err
	}
	mine := batch.Origin == m.replica
	if batch.Ordered {
		return result, m.applyOrdered(v, e.Index, len(e.Cmd), batch, news)
	}
	out, err := m.applyCommands(v, batch, len(e.Cmd), news)
	if mine {
		result.Data = out
	}
	return result, err
}

// applyCommands applies the commands of a batch of size bytes and returns their
// replies.
func (m *Machine) applyCommands(v *view, batch *tree.BatchReader, size int, news *News) ([]byte, error) {
	before := len(news.Notices)
	out := make([]byte, 0, min(2*size+eventSlack*batch.Len(), outStart))
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
		news.Notices = append(news.Notices, ev.Notice(json))
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
			failed, err = m.handOut(v, &c, news)
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
	release(news.Notices[before:], len(out))
	return out, nil
}

// release keeps the window in memory, which holds on to notices, from holding
// on to all of a buffer of size bytes in which they are just a small part.
func release(notices []tree.Notice, size int) {
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
