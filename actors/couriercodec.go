package actors

import (
	"encoding/binary"
	"errors"
	"time"

	"copse/statemachine/tree"
)

// Writes on their way to the leader of their shard:
//
//	shard    uvarint
//	count    uvarint
//	left     uvarint each: milliseconds until the writer is answered
//	batch    as in a raft entry
//
// And the answer, for each of them:
//
//	kind     1 byte: 0 not leading, 1 an event or a refusal of v2's, 2 raft has no answer
//	action   1 byte
//	created  1 byte
//	code     uvarint: the error's, 0 if there is none
//	index    uvarint: the event's, or the tree's at the error
//	raft     uvarint: the raft entry's index
//	queued, applied  uvarint, nanoseconds
//	body     uvarint length, bytes: the event's JSON, or the error's cause
const (
	replyNotLeading = iota
	replyAnswer
	replyFailed
)

var errBadCall = errors.New("a call between members is cut short or damaged: are their versions too far apart?")

func appendWrites(dst []byte, shard uint64, batch []*write) []byte {
	dst = binary.AppendUvarint(dst, shard)
	dst = binary.AppendUvarint(dst, uint64(len(batch)))
	for _, w := range batch {
		dst = binary.AppendUvarint(dst, uint64(max(0, time.Until(w.deadline).Milliseconds())))
	}
	dst = tree.AppendBatch(dst, 0, len(batch))
	for _, w := range batch {
		dst = tree.AppendCommand(dst, w.cmd)
	}
	return dst
}

// readWrites reads what appendWrites has written. The commands point into b.
func readWrites(b []byte) (shard uint64, left []time.Duration, commands []tree.Command, err error) {
	d := callReader{b: b}
	shard = d.uvarint()
	count := d.uvarint()
	if d.failed || count > uint64(len(d.b)) {
		return 0, nil, nil, errBadCall
	}
	for range count {
		left = append(left, time.Duration(min(d.uvarint(), uint64(time.Hour/time.Millisecond)))*time.Millisecond)
	}
	batch, err := tree.ReadBatch(d.b)
	if err != nil {
		return 0, nil, nil, err
	}
	for {
		var c tree.Command
		more, err := batch.Next(&c)
		if err != nil {
			return 0, nil, nil, err
		}
		if !more {
			break
		}
		commands = append(commands, c)
	}
	if d.failed || len(commands) != len(left) {
		return 0, nil, nil, errBadCall
	}
	return shard, left, commands, nil
}

func appendReply(dst []byte, r *tree.Reply) []byte {
	kind, code, index, body := byte(replyAnswer), tree.Code(0), r.State.Index, r.JSON
	if e := r.Err; e != nil {
		code, index, body = e.Code, e.Index, []byte(e.Cause)
		switch {
		case e == notLeading.Err:
			kind = replyNotLeading
		case r.State.RaftIndex == 0:
			kind = replyFailed
		}
	}
	created := byte(0)
	if r.Created {
		created = 1
	}
	dst = append(dst, kind, byte(r.Action), created)
	dst = binary.AppendUvarint(dst, uint64(code))
	dst = binary.AppendUvarint(dst, uint64(index))
	dst = binary.AppendUvarint(dst, r.State.RaftIndex)
	dst = binary.AppendUvarint(dst, uint64(max(0, r.Queued)))
	dst = binary.AppendUvarint(dst, uint64(max(0, r.Applied)))
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

// readReplies reads count replies, and the highest raft index among them. The
// replies point into b.
func readReplies(b []byte, count int) (replies []tree.Reply, raftIndex uint64, err error) {
	d := callReader{b: b}
	for range count {
		kind, action, created := d.byte(), d.byte(), d.byte()
		code, index, raft := d.uvarint(), tree.Index(d.uvarint()), d.uvarint()
		queued, applied := d.uvarint(), d.uvarint()
		body := d.bytes()
		if d.failed || kind > replyFailed {
			return nil, 0, errBadCall
		}
		r := tree.Reply{
			Action: tree.Action(action), Created: created != 0,
			State:  tree.State{Index: index, RaftIndex: raft},
			Queued: time.Duration(queued), Applied: time.Duration(applied),
		}
		switch {
		case kind == replyNotLeading:
			r = notLeading
		case code != 0:
			r.Err = &tree.Error{Code: tree.Code(code), Cause: string(body), Index: index}
		default:
			r.JSON = body
		}
		raftIndex = max(raftIndex, raft)
		replies = append(replies, r)
	}
	if len(d.b) > 0 {
		return nil, 0, errBadCall
	}
	return replies, raftIndex, nil
}

// callReader takes fields off the front of b; once one is short, failed is set.
type callReader struct {
	b      []byte
	failed bool
}

func (d *callReader) byte() byte {
	if len(d.b) == 0 {
		d.failed = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *callReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.failed = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *callReader) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.failed = nil, true
		return nil
	}
	c := d.b[:n:n]
	d.b = d.b[n:]
	return c
}
