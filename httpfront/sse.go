package httpfront

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// heartbeat is from one heartbeat to the next, unless a client says otherwise.
const heartbeat = 15 * time.Second

const (
	typeSSE = "text/event-stream"

	headerLastEventID = "Last-Event-ID"
)

// wantsSSE reports whether a watch is to be answered by server-sent events: its client
// names their type. Who takes anything gets v2's JSON.
func wantsSSE(ctx *fasthttp.RequestCtx) bool {
	for kind := range bytes.SplitSeq(ctx.Request.Header.Peek(fasthttp.HeaderAccept), []byte{','}) {
		kind, _, _ = bytes.Cut(kind, []byte{';'})
		if bytes.EqualFold(bytes.TrimSpace(kind), []byte(typeSSE)) {
			return true
		}
	}
	return false
}

// appendSSE appends n, printed as json, as a server-sent event.
func appendSSE(dst []byte, n *tree.EncodedEvent, json []byte) []byte {
	return append(append(appendSSEHead(dst, n), json...), sseTail...)
}

// sseTail ends an event behind its JSON, which is one line with its end.
const sseTail = "\n"

// appendSSEHead appends what comes before the JSON.
func appendSSEHead(dst []byte, n *tree.EncodedEvent) []byte {
	dst = strconv.AppendUint(append(dst, "id: "...), uint64(n.Index), 10)
	dst = append(append(dst, "\nevent: "...), n.Action.String()...)
	return append(dst, "\ndata: "...)
}

// appendBeat appends a heartbeat: without data it is no event, but its id is the one that a
// browser resumes from, unless that is 0.
func appendBeat(dst []byte, at tree.Index) []byte {
	if at != 0 {
		dst = strconv.AppendUint(append(dst, "id: "...), uint64(at), 10)
		dst = append(dst, '\n')
	}
	return append(dst, ": heartbeat\n\n"...)
}

// chunk returns text as a part of p's answer.
func (p *parked) chunk(text []byte) []byte {
	if !p.chunked {
		return text
	}
	whole := appendWhole(nil, text)
	return whole[:len(whole)-len(lastChunk)]
}
