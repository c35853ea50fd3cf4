package peerlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A call and its answer, as payloads of their frames. Numbers are little-endian.
//
//	0    8          12     13
//	┌────┬──────────┬──────┬─────────┐
//	│ id │ timeout  │ kind │ payload │
//	└────┴──────────┴──────┴─────────┘
//	0    8        9      10
//	┌────┬────────┬──────┬─────────────────┐
//	│ id │ failed │ code │ payload or text │
//	└────┴────────┴──────┴─────────────────┘
//
// id is chosen by the caller, to tell answers apart; 0: no answer is expected. timeout is for how many
// milliseconds the caller still waits; 0: without limit.
const (
	callHead   = 13
	answerHead = 10
)

// request is a call as it arrives. payload is part of the frame's memory.
type request struct {
	id      uint64
	timeout time.Duration
	kind    uint8
	payload []byte
}

// appendCall appends a call to a frame that was begun.
func appendCall(buf []byte, r request) []byte {
	le := binary.LittleEndian
	buf = le.AppendUint64(buf, r.id)
	// Rounded up, since 0 means without limit.
	ms := min((r.timeout+time.Millisecond-1)/time.Millisecond, 1<<32-1)
	buf = le.AppendUint32(buf, uint32(ms))
	buf = append(buf, r.kind)
	return append(buf, r.payload...)
}

func decodeCall(b []byte) (request, error) {
	if len(b) < callHead {
		return request{}, fmt.Errorf("%w call: %d bytes", errMalformed, len(b))
	}
	le := binary.LittleEndian
	return request{
		id:      le.Uint64(b),
		timeout: time.Duration(le.Uint32(b[8:])) * time.Millisecond,
		kind:    b[12],
		payload: b[callHead:],
	}, nil
}

// errorTextLimit is the longest text of an error that is sent, in bytes.
const errorTextLimit = 4 << 10

// appendReply appends an answer to a frame that was begun: err, or payload if err is nil.
func appendReply(buf []byte, id uint64, payload []byte, err error) []byte {
	buf = binary.LittleEndian.AppendUint64(buf, id)
	if err == nil {
		return append(append(buf, 0, 0), payload...)
	}
	code, answer := uint8(0), (*CallError)(nil)
	if errors.As(err, &answer) {
		code = answer.Code
	}
	text := err.Error()
	return append(append(buf, 1, code), text[:min(len(text), errorTextLimit)]...)
}

// reply is an answer as it arrives: a payload, or an error.
type reply struct {
	payload []byte
	err     error
}

func decodeReply(b []byte) (id uint64, r reply, err error) {
	if len(b) < answerHead {
		return 0, reply{}, fmt.Errorf("%w answer: %d bytes", errMalformed, len(b))
	}
	id = binary.LittleEndian.Uint64(b)
	if b[8] != 0 {
		return id, reply{err: &CallError{Code: b[9], Text: string(b[answerHead:])}}, nil
	}
	return id, reply{payload: b[answerHead:]}, nil
}
