package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// answers splits a stream of bytes into HTTP answers. It looks at as few of
// them as it can: the client must not be the slower half of the measurement.
type answers struct {
	state answerState
	left  int    // bytes of the body, or of the chunk, that are still missing
	head  []byte // the part of a head or of a chunk's line that has arrived so far
	code  int    // of the current answer
	size  int    // bytes of its body so far, chunk lines included
}

type answerState uint8

const (
	inHead      answerState = iota
	inBody                  // of known length
	inChunkLine             // the length of a chunk
	inChunk                 // its bytes, and the end of line after them
	inTrailer               // the empty line after the last chunk
)

// answerHeadLimit is for one head, or one line with a chunk's length.
const answerHeadLimit = 16 << 10

var (
	lineEnd       = []byte("\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// next takes bytes off the front of b until an answer ends in them; done is
// false if b is used up first.
func (a *answers) next(b []byte) (rest []byte, done bool, err error) {
	for len(b) > 0 {
		switch a.state {
		case inHead:
			var head []byte
			if head, b, err = a.until(b, headEnd); err != nil || head == nil {
				return nil, false, err
			}
			if err = a.begin(head); err != nil {
				return nil, false, err
			}
			a.head = a.head[:0]
		case inChunkLine:
			var line []byte
			if line, b, err = a.until(b, lineEnd); err != nil || line == nil {
				return nil, false, err
			}
			n, perr := strconv.ParseUint(string(line), 16, 31)
			if perr != nil {
				return nil, false, fmt.Errorf("a chunk's length: %q", line)
			}
			a.head = a.head[:0]
			a.left, a.state = int(n)+len(lineEnd), inChunk
			if n == 0 {
				a.left, a.state = len(lineEnd), inTrailer
			}
		default:
			n := min(a.left, len(b))
			b = b[n:]
			a.left -= n
			a.size += n
			if a.left == 0 && a.state == inChunk {
				a.state = inChunkLine
			}
		}
		if a.left == 0 && (a.state == inBody || a.state == inTrailer) {
			a.state = inHead
			return b, true, nil
		}
	}
	return nil, false, nil
}

// until returns the bytes before mark; nil if mark hasn't arrived yet.
func (a *answers) until(b, mark []byte) (got, rest []byte, err error) {
	if len(a.head) == 0 {
		if i := bytes.Index(b, mark); i >= 0 {
			return b[:i], b[i+len(mark):], nil
		}
	}
	before := len(a.head)
	a.head = append(a.head, b...)
	i := bytes.Index(a.head, mark)
	if i < 0 {
		if len(a.head) > answerHeadLimit {
			return nil, nil, fmt.Errorf("the head of an answer doesn't end: %.200q", a.head)
		}
		return nil, nil, nil
	}
	return a.head[:i], b[i+len(mark)-before:], nil
}

// begin parses a head.
func (a *answers) begin(head []byte) error {
	if len(head) < len("HTTP/1.1 200") || !bytes.HasPrefix(head, []byte("HTTP/1.")) {
		return fmt.Errorf("no HTTP answer: %.200q", head)
	}
	code, err := strconv.Atoi(string(head[9:12]))
	if err != nil {
		return fmt.Errorf("status line of %.200q", head)
	}
	a.code, a.size = code, 0
	if code == 304 { // which has no body, and needs no length
		a.left, a.state = 0, inBody
		return nil
	}
	_, after, ok := bytes.Cut(head, contentLength)
	if !ok {
		if !bytes.Contains(head, []byte("\r\nTransfer-Encoding: chunked")) {
			return fmt.Errorf("an answer of unknown length: %.300q", head)
		}
		a.state = inChunkLine
		return nil
	}
	if end := bytes.IndexByte(after, '\r'); end >= 0 {
		after = after[:end]
	}
	n, err := strconv.ParseUint(string(after), 10, 31)
	if err != nil {
		return fmt.Errorf("length of %.300q", head)
	}
	a.left, a.state = int(n), inBody
	return nil
}
