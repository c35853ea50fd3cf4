package httpfront

import "bytes"

// quickRequest is a request for a key, as far as the reactor understands it: in
// the plainest form that HTTP/1.1 has. It refers to the bytes that it was read
// from.
type quickRequest struct {
	method      method
	target      []byte
	contentType []byte
	body        []byte
}

// quickVerdict says what the reactor can do with the bytes of a connection.
type quickVerdict uint8

const (
	quickWhole   quickVerdict = iota + 1 // a request that it can serve
	quickPartial                         // the beginning of one, so far
	quickOther                           // something that fasthttp has to judge
)

// quickLimit is the size of the largest request that the reactor serves.
const quickLimit = 32 << 10

var quickLineEnd = []byte(" HTTP/1.1\r\n")

// read reads the request at the front of b, and tells how many bytes it has.
// Whatever isn't beyond doubt is left to fasthttp: other versions and paths,
// unusual or broken header lines, whatever changes how the connection goes on,
// and heads of more than headLimit bytes, quickLimit at most.
func (r *quickRequest) read(b []byte, headLimit int) (size int, verdict quickVerdict) {
	*r = quickRequest{}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return 0, quickUnlessLong(b, headLimit)
	}
	line := b[:end+1]
	if !bytes.HasSuffix(line, quickLineEnd) || !r.readStart(line[:len(line)-len(quickLineEnd)]) {
		return 0, quickOther
	}
	h := quickHead{bodySize: -1}
	at := end + 1
	for {
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return 0, quickUnlessLong(b, headLimit)
		}
		line := b[at : at+end]
		at += end + 1
		if len(line) == 1 && line[0] == '\r' {
			break
		}
		if !h.add(line) {
			return 0, quickOther
		}
	}
	if !h.host || at > headLimit {
		return 0, quickOther
	}
	r.contentType = h.contentType
	writes := r.method == methodPut || r.method == methodPost
	switch {
	case !writes && h.bodySize > 0, writes && h.bodySize < 0:
		return 0, quickOther
	case writes:
		if h.bodySize > quickLimit-at {
			return 0, quickOther
		}
		if h.bodySize > len(b)-at {
			return 0, quickPartial
		}
		r.body = b[at : at+h.bodySize]
		at += h.bodySize
	}
	return at, quickWhole
}

func quickUnlessLong(b []byte, headLimit int) quickVerdict {
	if len(b) >= headLimit {
		return quickOther
	}
	return quickPartial
}

// readStart reads the request line up to its version.
func (r *quickRequest) readStart(line []byte) bool {
	space := bytes.IndexByte(line, ' ')
	if space < 0 {
		return false
	}
	r.method, r.target = methodOf(line[:space]), line[space+1:]
	if r.method == 0 || r.method == methodHead || !bytes.HasPrefix(r.target, quickPrefix) {
		return false
	}
	for _, c := range r.target {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

var quickPrefix = []byte(keysPrefix)

// quickHead is what matters of a request's header lines.
type quickHead struct {
	host        bool
	contentType []byte
	bodySize    int // -1: not said
}

// add takes one line in, which ends in a return; it reports false for what
// fasthttp has to judge.
func (h *quickHead) add(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || len(name) == 0 || value == nil || len(value) == 0 || value[len(value)-1] != '\r' {
		return false
	}
	for _, c := range name {
		if !quickName[c] {
			return false
		}
	}
	value = value[:len(value)-1]
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return h.note(name, trimBlank(value))
}

// quickName marks the bytes of plain header names.
var quickName = func() (t [256]bool) {
	for c := range t {
		t[c] = c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	return t
}()

func trimBlank(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// note looks at a header line whose name may mean something to us. Names are
// told apart by their length first.
func (h *quickHead) note(name, value []byte) bool {
	is := func(other string) bool { return bytes.EqualFold(name, []byte(other)) }
	switch len(name) {
	case len("TE"), len("Expect"), len("Upgrade"), len("Authorization"), len("Transfer-Encoding"):
		// Origin and Expect are of one length, and so are Trailer and Upgrade.
		return !is("TE") && !is("Expect") && !is("Origin") && !is("Upgrade") && !is("Trailer") && !is("Authorization") && !is("Transfer-Encoding")
	case len("Host"):
		if is("Host") {
			first := !h.host
			h.host = true
			return first && isPlainHost(value)
		}
	case len("Connection"):
		return !is("Connection") || bytes.EqualFold(value, []byte("keep-alive"))
	case len("Content-Type"):
		if is("Content-Type") {
			first := h.contentType == nil
			h.contentType = value
			return first && len(value) > 0
		}
	case len("Content-Length"):
		if is("Content-Length") {
			n, ok := parseDecimal(value)
			first := h.bodySize < 0
			h.bodySize = int(min(n, quickLimit+1))
			return ok && first && len(value) <= 19
		}
	}
	return true
}

// isPlainHost reports whether host is a name or an address, maybe with a port.
func isPlainHost(host []byte) bool {
	for _, c := range host {
		if !quickName[c] && c != '.' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	return len(host) > 0
}
