package statemachine

import (
	"encoding/binary"

	"copse/statemachine/tree"
)

// The result of a raft entry, for the replica that proposed it, holds for each
// command of the batch, in order:
//
//	action   1 byte; 0: an error; 255: done, there is no event to tell of
//	created  1 byte: answer 201
//	code     2 bytes: the error's code
//	index    8 bytes: the event's, or the tree's at the error
//	length   4 bytes
//	body     the event's JSON, or the error's cause
//
// Numbers are little-endian. The event's JSON is the very bytes that watchers
// get.
const (
	replyHead = 16
	replyDone = 0xff
)

func appendEventReply(dst []byte, e *tree.Event) (out, json []byte) {
	head := len(dst)
	dst = append(dst, make([]byte, replyHead)...)
	dst = tree.AppendEvent(dst, e)
	json = dst[head+replyHead : len(dst) : len(dst)]
	h := dst[head:]
	h[0] = byte(e.Action)
	if e.Created() {
		h[1] = 1
	}
	binary.LittleEndian.PutUint64(h[4:], uint64(e.Index()))
	binary.LittleEndian.PutUint32(h[12:], uint32(len(json)))
	return dst, json
}

func appendErrorReply(dst []byte, e *tree.Error) []byte {
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(e.Code))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Index))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(e.Cause)))
	return append(dst, e.Cause...)
}

// appendDoneReply answers a command that has no one event to tell of, one that changes
// the membership or an expiry, at the tree's index.
func appendDoneReply(dst []byte, index tree.Index) []byte {
	dst = append(dst, replyDone, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(index))
	return append(dst, 0, 0, 0, 0)
}

// CutReply takes the next reply off the front of an entry's result; ok is false
// at the end. Of the reply's State only the Index is set; of the reply to a
// command without an event nothing else is.
func CutReply(data []byte) (r tree.Reply, rest []byte, ok bool) {
	if len(data) < replyHead {
		return r, nil, false
	}
	index := tree.Index(binary.LittleEndian.Uint64(data[4:]))
	size := binary.LittleEndian.Uint32(data[12:])
	body, rest := data[replyHead:replyHead+size], data[replyHead+size:]
	r.State.Index = index
	if data[0] == replyDone {
		return r, rest, true
	}
	r.Action = tree.Action(data[0])
	r.Created = data[1] != 0
	if r.Action == 0 {
		r.Err = &tree.Error{
			Code:  tree.Code(binary.LittleEndian.Uint16(data[2:])),
			Cause: string(body),
			Index: index,
		}
		return r, rest, true
	}
	r.JSON = body
	return r, rest, true
}
