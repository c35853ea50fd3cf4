package portable

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

var errForm = errors.New("not in the form of this format")

// scanner takes a line apart from the left. It need not be strict: the Reader compares the
// line with what the Writer makes of the result. After the first field that isn't
// as it should be, failed is set and the rest means nothing.
type scanner struct {
	left    []byte
	scratch []byte // texts with escapes; what was returned of it stays until the next line
	failed  bool
}

// reset begins a line, and keeps the memory.
func (s *scanner) reset(line []byte) {
	s.left, s.failed, s.scratch = line, false, s.scratch[:0]
}

// has takes text if it is next.
func (s *scanner) has(text string) bool {
	if s.failed || len(s.left) < len(text) || string(s.left[:len(text)]) != text {
		return false
	}
	s.left = s.left[len(text):]
	return true
}

func (s *scanner) need(text string) { s.failed = !s.has(text) }

// end takes the brace that ends the line.
func (s *scanner) end() {
	s.need("}")
	s.failed = s.failed || len(s.left) > 0
}

// digits takes what looks like a number.
func (s *scanner) digits() string {
	n := 0
	for n < len(s.left) && (s.left[n] >= '0' && s.left[n] <= '9' || s.left[n] == '-') {
		n++
	}
	text := s.left[:n]
	s.left = s.left[n:]
	return string(text)
}

func (s *scanner) number() uint64 {
	n, err := strconv.ParseUint(s.digits(), 10, 64)
	s.failed = s.failed || err != nil
	return n
}

func (s *scanner) signed() int64 {
	n, err := strconv.ParseInt(s.digits(), 10, 64)
	s.failed = s.failed || err != nil
	return n
}

func (s *scanner) time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, string(s.text()))
	s.failed = s.failed || err != nil
	return t.UTC()
}

// text takes a string. The result refers to the line or to scratch.
func (s *scanner) text() []byte {
	if s.need(`"`); s.failed {
		return nil
	}
	n := bytes.IndexAny(s.left, `"\`)
	if n >= 0 && s.left[n] == '"' {
		text := s.left[:n]
		s.left = s.left[n+1:]
		return text
	}
	// In one piece, so that what was returned before isn't moved under its owner.
	end := s.closing()
	if s.failed {
		return nil
	}
	raw := s.left[:end]
	s.left = s.left[end+1:]
	if cap(s.scratch)-len(s.scratch) < len(raw) {
		s.scratch = make([]byte, 0, len(raw))
	}
	start := len(s.scratch)
	s.unescape(raw)
	return s.scratch[start:len(s.scratch):len(s.scratch)]
}

// closing returns where the string that has begun ends.
func (s *scanner) closing() int {
	for i := 0; i < len(s.left); i++ {
		switch s.left[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	s.failed = true
	return 0
}

var letters = map[byte]byte{'"': '"', '\\': '\\', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape appends raw, without its escapes, to scratch. The result is no longer than raw.
func (s *scanner) unescape(raw []byte) {
	for len(raw) > 0 {
		n := bytes.IndexByte(raw, '\\')
		if n < 0 {
			n = len(raw)
		}
		s.scratch = append(s.scratch, raw[:n]...)
		if raw = raw[n:]; len(raw) == 0 {
			return
		}
		if c, ok := letters[raw[1]]; ok { // closing has seen that a byte follows
			s.scratch, raw = append(s.scratch, c), raw[2:]
			continue
		}
		if raw[1] != 'u' || len(raw) < 6 {
			s.failed = true
			return
		}
		r, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
		s.failed = s.failed || err != nil
		s.scratch, raw = utf8.AppendRune(s.scratch, rune(r)), raw[6:]
	}
}

// namedBytes takes what appendNamed has written, behind the name.
func (s *scanner) namedBytes() []byte {
	if !s.has(`64":`) {
		s.need(`":`)
		return s.text()
	}
	return s.base64()
}

func (s *scanner) base64() []byte {
	text := s.text()
	out, err := base64.StdEncoding.AppendDecode(nil, text)
	s.failed = s.failed || err != nil
	return out
}

func (s *scanner) named() string { return string(s.namedBytes()) }

// texts takes what appendTexts has written.
func (s *scanner) texts(name string) []string {
	take := s.text
	switch {
	case s.has(`,"` + name + `":[`):
	case s.has(`,"` + name + `64":[`):
		take = s.base64
	default:
		return nil
	}
	list := []string{}
	for !s.failed && !s.has("]") {
		if len(list) > 0 {
			s.need(",")
		}
		list = append(list, string(take()))
	}
	return slices.Clip(list)
}
