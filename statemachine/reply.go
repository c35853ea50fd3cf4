package statemachine

import (
	"bytes"
	"encoding/binary"
	"slices"

	"copse/statemachine/tree"
)

// The replies to a submission, which go to the clients of the replica that submitted it,
// contain for each command, in order:
//
//	action   1 byte; 0: an error; 255: success without an event; 254: a transaction's events
//	flags    1 byte: 1 if the HTTP status is 201, 2 if there are binary values, 4 if the JSON is made
//	         late: the event is beside the replies then (Outcome.Complete), and there is no body
//	code     2 bytes: the error's code
//	index    8 bytes: the event's, or the tree's if there is none
//	length   4 bytes
//	body     the event's JSON, the error's cause, what became of a change of users, or the events
//	         of a transaction, as {"results":[...]}. Behind those of events, if so flagged, the values
//	         that JSON doesn't carry, with 4 bytes for the length of each, and the length of the
//	         JSON, 4 bytes
//
// Numbers are little-endian. The event's JSON is byte for byte what watchers
// get.
const (
	replyHead = 16
	replyDone = 0xff
	replyTxn  = 0xfe

	replyCreated = 1
	replyBinary  = 2
	replyLate    = 4

	txnBegin, txnEnd = `{"results":[`, "]}\n"
)

// appendEventReply appends the reply to a command that made the event, but for values that JSON doesn't
// carry: see appendBinary. A buffer that is too small for all of it is doubled once, since append would
// grow it by less, and copy large values several times.
func appendEventReply(dst []byte, e *tree.Event, values *tree.Binary) (out, json []byte) {
	dst = growForEvent(dst, e, values)
	head := len(dst)
	dst = append(dst, make([]byte, replyHead)...)
	dst = tree.AppendEvent(dst, e)
	json = dst[head+replyHead : len(dst) : len(dst)]
	h := dst[head:]
	h[0] = byte(e.Action)
	if e.Created() {
		h[1] = replyCreated
	}
	binary.LittleEndian.PutUint64(h[4:], uint64(e.Index()))
	binary.LittleEndian.PutUint32(h[12:], uint32(len(json)))
	return dst, json
}

// appendLateReply appends the reply to a command that made the event, without its JSON, which is made late.
func appendLateReply(dst []byte, e *tree.Event) []byte {
	head := len(dst)
	dst = append(dst, make([]byte, replyHead)...)
	h := dst[head:]
	h[0], h[1] = byte(e.Action), replyLate
	if e.Created() {
		h[1] |= replyCreated
	}
	binary.LittleEndian.PutUint64(h[4:], uint64(e.Index()))
	return dst
}

// leaveReply takes the events, so many, out of the reply that begins at from. If there is one, the reply becomes one
// whose JSON is made late; otherwise it says that there is no answer. Of an error's cause, which may name values, the
// beginning is left.
func leaveReply(dst []byte, from, events int) []byte {
	h := dst[from : from+replyHead]
	switch {
	case h[0] == replyDone:
		return dst // of expirations, or without an event
	case h[0] == 0:
		cause := dst[from+replyHead:]
		cause = bytes.ToValidUTF8(cause[:min(freeAnswer, len(cause))], nil) // the last rune may be cut
		binary.LittleEndian.PutUint32(h[12:], uint32(len(cause)))
		return append(dst[:from+replyHead], cause...)
	case events == 1 && h[0] != replyTxn:
		h[1] = h[1]&replyCreated | replyLate
		binary.LittleEndian.PutUint32(h[12:], 0)
		return dst[:from+replyHead]
	}
	none := tree.Reply{State: tree.State{Index: tree.Index(binary.LittleEndian.Uint64(h[4:]))}}
	none.NoAnswer()
	return appendErrorReply(dst[:from], none.Err)
}

func growForEvent(dst []byte, e *tree.Event, values *tree.Binary) []byte {
	size := replyHead + eventOverhead + len(e.Node.Key) + len(e.Node.Value) + len(e.Prev.Key) + len(e.Prev.Value)
	values.Each(func(value []byte) []byte {
		size += (&tree.Node{Value: value}).TextLen() + 4 // beyond its own bytes, which come behind the JSON
		return value
	})
	if cap(dst)-len(dst) < size {
		dst = slices.Grow(dst, max(size, cap(dst)))
	}
	return dst
}

// appendTxnEvent appends an event to the reply to a transaction, which begins at from.
func appendTxnEvent(dst []byte, from int, e *tree.Event, values *tree.Binary) (out, json []byte) {
	dst = growForEvent(dst, e, values)
	if len(dst) == from {
		dst = append(append(dst, make([]byte, replyHead)...), txnBegin...)
	} else {
		dst = append(dst, ',')
	}
	at := len(dst)
	dst = tree.AppendEvent(dst, e)
	return dst, dst[at:len(dst):len(dst)]
}

// endTxnReply completes the reply to a transaction, whose last event has the index.
func endTxnReply(dst []byte, from int, index tree.Index) []byte {
	dst = append(dst, txnEnd...)
	h := dst[from:]
	h[0] = replyTxn
	binary.LittleEndian.PutUint64(h[4:], uint64(index))
	binary.LittleEndian.PutUint32(h[12:], uint32(len(h)-replyHead))
	return dst
}

// appendBinary adds the values that JSON doesn't carry to the reply with events that begins at from. The
// events then share these bytes: nothing keeps their own copies.
func appendBinary(dst []byte, from int, events []tree.EncodedEvent) []byte {
	json, size := len(dst)-from-replyHead, 0
	for i := range events {
		events[i].Binary.Each(func(value []byte) []byte { size += 4 + len(value); return value })
	}
	if size == 0 {
		return dst
	}
	dst = slices.Grow(dst, size+4)
	for i := range events {
		events[i].Binary.Each(func(value []byte) []byte {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(value)))
			dst = append(dst, value...)
			return dst[len(dst)-len(value) : len(dst) : len(dst)]
		})
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(json))
	h := dst[from:]
	h[1] |= replyBinary
	binary.LittleEndian.PutUint32(h[12:], uint32(len(h)-replyHead))
	return dst
}

// cutBinary splits the body of a reply with events that has values behind the JSON.
func cutBinary(body []byte) (json []byte, values tree.Binary) {
	end := len(body) - 4
	size := binary.LittleEndian.Uint32(body[end:])
	for rest := body[size:end]; len(rest) > 0; {
		length := binary.LittleEndian.Uint32(rest)
		values = append(values, rest[4:4+length])
		rest = rest[4+length:]
	}
	return body[:size:size], values
}

func appendErrorReply(dst []byte, e *tree.Error) []byte {
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(e.Code))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Index))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.Cause)))
	return append(dst, e.Cause...)
}

// appendDoneReply appends the reply to a command that was carried out without a single
// event of its own, such as a change of the membership or an OpExpire. outcome is what
// became of an OpAuth.
func appendDoneReply(dst []byte, index tree.Index, outcome []byte) []byte {
	dst = append(dst, replyDone, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(index))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(outcome)))
	return append(dst, outcome...)
}

// CutReply decodes the first of the replies in data, which Update has built, and returns
// the rest; ok is false at the end. In the reply's State only Index is set. The reply to a
// command that was carried out without an event has nothing else but an Outcome, that to a transaction
// all events in its JSON.
func CutReply(data []byte) (r tree.Reply, rest []byte, ok bool) {
	if len(data) < replyHead {
		return r, nil, false
	}
	index := tree.Index(binary.LittleEndian.Uint64(data[4:]))
	size := binary.LittleEndian.Uint32(data[12:])
	body, rest := data[replyHead:replyHead+size], data[replyHead+size:]
	r.State.Index = index
	if data[1]&replyBinary != 0 {
		body, r.Binary = cutBinary(body)
	}
	switch {
	case data[0] == replyDone && size > 0:
		r.Outcome = body
	case data[0] == replyTxn:
		r.JSON = body
	}
	if data[0] >= replyTxn {
		return r, rest, true
	}
	r.Action = tree.Action(data[0])
	r.Created = data[1]&replyCreated != 0
	if r.Action == 0 {
		r.Err = &tree.Error{
			Code:  tree.Code(binary.LittleEndian.Uint16(data[2:])),
			Cause: string(body),
			Index: index,
		}
		return r, rest, true
	}
	if data[1]&replyLate == 0 {
		r.JSON = body
	}
	return r, rest, true
}
