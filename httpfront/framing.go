package httpfront

import "bytes"

// framing follows what a client sends: heads of requests, and bodies between them. It has to
// see the end of each where fasthttp does, so it refuses what could be read in two ways, and
// what fasthttp would refuse too.
type framing struct {
	phase phase
	left  int64 // bytes yet to come of a body or a chunk; in inSize, its size so far
	line  chunkLine
	head  headScan
	paid  bool // for the next large head
}

type phase uint8

const (
	inHead  phase = iota
	inBody        // of known length
	inSize        // the line before a chunk
	inChunk       // its data
	inEnd         // the line end after that
	inTrailer
	unfollowed // to the end of the connection: fasthttp closes it after the answer
	ended      // fasthttp has been shown the end
)

// chunkLine is the state of a line between chunks.
type chunkLine struct {
	digits  uint8
	more    bool // something after the digits, or in a trailer's line
	carried bool // a CR, after which LF must come
}

// follow goes through p, which continues what it has seen, and returns how much of it may be
// passed on as it is. What follows is the beginning of a head or, if odd, something that
// needs care: in inHead the head f.head, otherwise a broken chunk. The next call has to
// begin there.
func (f *framing) follow(p []byte) (n int, odd bool) {
	for n < len(p) {
		switch f.phase {
		case inHead:
			if !f.head.scan(p[n:]) {
				return n, false
			}
			large := f.head.large()
			if f.head.loose || f.head.broken || large && !f.paid {
				return n, true
			}
			f.paid = f.paid && !large
			n += f.head.size
			f.enterBody()
		case inBody, inChunk:
			part := min(int64(len(p)-n), f.left)
			n += int(part)
			if f.left -= part; f.left == 0 && f.phase == inBody {
				f.phase = inHead
			} else if f.left == 0 {
				f.phase = inEnd
			}
		case unfollowed:
			return len(p), false
		default:
			if !f.betweenChunks(p[n]) {
				return n, true
			}
			n++
		}
	}
	return n, false
}

// enterBody goes on after a head.
func (f *framing) enterBody() {
	switch h := &f.head; {
	case h.foreign:
		f.phase = unfollowed
	case h.chunked:
		f.phase = inSize
	case h.length > 0:
		f.phase, f.left = inBody, h.length
	}
	f.head = headScan{}
}

// betweenChunks takes one byte of the lines around chunks, and reports whether it may stand
// there. Only CRLF ends a line: those who take LF for an end see other requests than those
// who don't.
func (f *framing) betweenChunks(c byte) bool {
	l := &f.line
	if l.carried || c == '\n' {
		if !l.carried || c != '\n' {
			return false
		}
		f.lineEnds()
		return true
	}
	if c == '\r' {
		l.carried = true
		return f.phase != inSize || l.digits > 0
	}
	digit := unhex(c)
	switch {
	case f.phase == inEnd:
		return false
	case f.phase == inTrailer:
		l.more = true
	case l.more || digit > 15:
		l.more = true // an extension
		return l.digits > 0
	default:
		l.digits++
		f.left = f.left<<4 | int64(digit)
		return l.digits < 16
	}
	return true
}

func (f *framing) lineEnds() {
	switch {
	case f.phase == inEnd:
		f.phase, f.left = inSize, 0
	case f.phase == inTrailer && !f.line.more:
		f.phase = inHead
	case f.phase == inSize && f.left > 0:
		f.phase = inChunk
	case f.phase == inSize:
		f.phase = inTrailer
	}
	f.line = chunkLine{}
}

// headScan looks for the end of one head, which may arrive in pieces, and for what it says
// about the body. Empty lines before the request line belong to it.
type headScan struct {
	size int // all of it; 0: its end has not been seen

	begin, seen int // of the line at hand, and how far its end has been looked for
	parts       int // lines other than empty ones, and names in the header Trailer
	grown       int // by how much it has become longer since it came

	loose    bool    // fasthttp has to get it respelled
	broken   bool    // it isn't a head, or proxies may read it differently
	why      verdict // it is broken, if the answer says so
	measured bool    // it has a Content-Length
	chunked  bool
	foreign  bool // it has another Transfer-Encoding, which is refused
	length   int64
}

// large reports whether it needs a larger buffer, or much memory for its parts.
func (h *headScan) large() bool { return h.size > smallRoom || h.parts > freeParts }

// scan is given the head from its begin, more of it each time, and reports whether it is
// whole, or broken already.
func (h *headScan) scan(p []byte) bool {
	for h.size == 0 && !h.broken {
		i := bytes.IndexByte(p[h.seen:], '\n')
		if i < 0 {
			h.seen = len(p)
			return false
		}
		end := h.seen + i
		line := p[h.begin:end]
		h.begin, h.seen = end+1, end+1
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		} else {
			h.loose = true
		}
		switch {
		case len(line) > 0:
			h.read(line)
		case h.parts > 0:
			h.size = end + 1
		}
	}
	h.broken = h.broken || h.measured && h.chunked && !h.foreign
	return true
}

// read looks at one line.
func (h *headScan) read(line []byte) {
	h.parts++
	if bytes.IndexByte(line, '\r') >= 0 {
		h.broken = true
		return
	}
	if h.parts == 1 { // of the request
		last := bytes.LastIndexByte(line, ' ')
		h.broken = last < 0 || bytes.IndexByte(line, ' ') == last || !isVersion(line[last+1:])
		h.loose = h.loose || !h.broken && isNewer(line)
		return
	}
	switch line[0] {
	case ' ', '\t': // continues the line before it, or begins a header
		h.broken = true
	case 'c', 'C':
		if value, ok := valueOf(line, "content-length"); ok {
			h.broken = h.broken || h.measured || !h.measure(value)
			h.measured = true
		}
	case 'h', 'H':
		if value, ok := valueOf(line, "host"); ok && !isHost(value) {
			h.broken, h.why = true, hostMalformed
		} else if ok && len(value) == 0 {
			h.loose = true
		}
	case 't', 'T':
		if value, ok := valueOf(line, "transfer-encoding"); ok {
			h.foreign = h.foreign || h.chunked || !bytes.EqualFold(value, chunked)
			h.chunked = true
		} else if value, ok := valueOf(line, "trailer"); ok {
			h.parts += bytes.Count(value, []byte{','})
		}
	}
	h.broken = h.broken || bytes.IndexByte(line, ':') <= 0
}

func isVersion(p []byte) bool {
	return len(p) == len("HTTP/1.1") && string(p[:5]) == "HTTP/" && isDigit(p[5]) && p[6] == '.' && isDigit(p[7])
}

// isNewer reports whether a request line has a version above HTTP/1.1 and below 2, whose requests
// mean the same.
func isNewer(line []byte) bool {
	last := len(line) - 1
	return line[last-2] == '1' && line[last] > '1'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// measure takes the length of the body.
func (h *headScan) measure(digits []byte) bool {
	const most = 18 // of them fit into 63 bits
	for _, c := range digits {
		if !isDigit(c) {
			return false
		}
		h.length = h.length*10 + int64(c-'0')
	}
	return len(digits) > 0 && len(digits) <= most
}

// valueOf returns the value of a header if it has this name, in lower case.
func valueOf(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.Trim(line[len(name)+1:], " \t"), true
}
