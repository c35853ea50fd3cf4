package tree

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendEvent appends e as v2 prints it, including the newline.
func AppendEvent(dst []byte, e *Event) []byte { return appendEventAs(dst, e, asText) }

// appendEventAs is AppendEvent with the values in a form.
func appendEventAs(dst []byte, e *Event, form valueForm) []byte {
	dst = append(dst, `{"action":"`...)
	dst = append(dst, e.Action.String()...)
	dst = append(dst, `","node":`...)
	own := form
	if e.Action.Removes() {
		own = noValue
	}
	dst = appendNode(dst, &e.Node, e.Now, own)
	if e.HasPrev {
		dst = append(dst, `,"prevNode":`...)
		dst = appendNode(dst, &e.Prev, e.Now, form)
	}
	return append(dst, '}', '\n')
}

const getHead = `{"action":"get","node":`

// AppendError appends e as v2 prints it, including the newline.
func AppendError(dst []byte, e *Error) []byte {
	dst = append(dst, `{"errorCode":`...)
	dst = strconv.AppendInt(dst, int64(e.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = AppendString(dst, e.Code.Message())
	if e.Cause != "" {
		dst = append(dst, `,"cause":`...)
		dst = AppendString(dst, e.Cause)
	}
	dst = append(dst, `,"index":`...)
	dst = strconv.AppendUint(dst, uint64(e.Index), 10)
	return append(dst, '}', '\n')
}

// valueForm is how the value of a file is printed.
type valueForm uint8

const (
	noValue  valueForm = iota
	asText             // what isn't UTF-8 is replaced
	asBase64           // as value64
)

// appendNode appends n without children.
func appendNode(dst []byte, n *Node, now int64, form valueForm) []byte {
	dst = appendNodeHead(dst, n, now, form)
	return appendNodeTail(dst, n)
}

// appendNodeHead appends n's fields up to the place of its children. The output ends
// after a field, or after the opening brace if there is none.
func appendNodeHead(dst []byte, n *Node, now int64, form valueForm) []byte {
	dst = append(dst, '{')
	if n.Key != "/" {
		dst = append(dst, `"key":`...)
		dst = AppendString(dst, n.Key)
		dst = append(dst, ',')
	}
	switch {
	case n.Dir:
		dst = append(dst, `"dir":true,`...)
	case form == asText:
		dst = append(dst, `"value":`...)
		dst = AppendString(dst, n.Value)
		dst = append(dst, ',')
	case form == asBase64:
		dst = append(dst, value64Field...)
		dst = base64.StdEncoding.AppendEncode(dst, n.Value)
		dst = append(dst, '"', ',')
	}
	if n.Expires != 0 {
		dst = append(dst, `"expiration":"`...)
		dst = time.Unix(0, n.Expires).UTC().AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, `",`...)
		if ttl := n.TTL(now); ttl != 0 {
			dst = append(dst, `"ttl":`...)
			dst = strconv.AppendInt(dst, ttl, 10)
			dst = append(dst, ',')
		}
	}
	return dst[:len(dst)-1] // each field above ends in a comma
}

func appendNodeTail(dst []byte, n *Node) []byte {
	if n.Modified != 0 {
		dst = append(dst, `,"modifiedIndex":`...)
		dst = strconv.AppendUint(dst, uint64(n.Modified), 10)
	}
	if n.Created != 0 {
		dst = append(dst, `,"createdIndex":`...)
		dst = strconv.AppendUint(dst, uint64(n.Created), 10)
	}
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// plain marks the ASCII bytes that need no escape inside a JSON string.
var plain = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

// AppendString appends s as a JSON string, escaped exactly as etcd 3.4 does: HTML
// characters and U+2028/9 as \u escapes, each invalid UTF-8 byte as \ufffd,
// \n \r \t by letter, other control characters as \u escapes.
func AppendString[S string | []byte](dst []byte, s S) []byte {
	return append(appendText(append(dst, '"'), s), '"')
}

// appendText appends s as it is within a JSON string.
func appendText[S string | []byte](dst []byte, s S) []byte {
	for sized := len(s) < sizedString; ; {
		n := plainLen(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			return dst
		}
		if !sized {
			sized, dst = true, slices.Grow(dst, escapedLen(s)+afterString)
		}
		if s[0] < utf8.RuneSelf {
			for len(s) > 0 && s[0] < utf8.RuneSelf && !plain[s[0]] {
				dst = appendEscape(dst, s[0])
				s = s[1:]
			}
			continue
		}
		r, size := decodeRune(s)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case r == '\u2028':
			dst = append(dst, `\u2028`...)
		case r == '\u2029':
			dst = append(dst, `\u2029`...)
		default:
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
}

const (
	// sizedString is the length from which on a string's escapes are counted before they are
	// appended: growing step by step, ten megabytes of control characters would be copied ten
	// times, and leave a multiple of their sixty to the garbage collector.
	sizedString = 16 << 10
	afterString = 512 // for the rest of a node, which comes after its value
)

// escapedLen is how long s is with its escapes, or a little less.
func escapedLen[S string | []byte](s S) (n int) {
	t := &escapedSizes
	for ; len(s) >= 8; s = s[8:] {
		if isPlain(word(s)) {
			n += 8
			continue
		}
		n += int(t[s[0]]) + int(t[s[1]]) + int(t[s[2]]) + int(t[s[3]]) + int(t[s[4]]) + int(t[s[5]]) + int(t[s[6]]) + int(t[s[7]])
	}
	for i := range len(s) {
		n += int(t[s[i]])
	}
	return n
}

// escapedSizes are the lengths of single bytes. What isn't UTF-8, or one of the two characters
// beyond ASCII that are escaped, may take more.
var escapedSizes = func() (t [256]uint8) {
	for c := range t {
		t[c] = 1
		if c < utf8.RuneSelf && !plain[c] {
			t[c] = uint8(len(appendEscape(nil, byte(c))))
		}
	}
	return t
}()

// TextLen is how many bytes the value takes within a JSON string, without the quotes.
func (n *Node) TextLen() int { return textLen(n.Value) + n.Unread.Text }

// textLen is how many bytes s takes within a JSON string, without the quotes. What needs
// no escape is scanned once.
func textLen(s []byte) (n int) {
	n = plainLen(s)
	if s = s[n:]; len(s) == 0 {
		return n
	}
	if utf8.Valid(s) {
		const more = len(replaced) - len("\u2028")
		return n + escapedLen(s) + more*(bytes.Count(s, []byte("\u2028"))+bytes.Count(s, []byte("\u2029")))
	}
	for len(s) > 0 {
		size := 1
		switch c := s[0]; {
		case c < utf8.RuneSelf:
			n += int(escapedSizes[c])
		case c < 0xc2 || c > 0xf4: // begins no rune
			n += len(replaced)
		default:
			r, more := utf8.DecodeRune(s)
			if size = more; size == 1 || r == '\u2028' || r == '\u2029' {
				n += len(replaced)
			} else {
				n += size
			}
		}
		s = s[size:]
	}
	return n
}

// plainLen returns how many bytes at the front of s need no escape. It checks
// eight at once, since a listing spends most of its time here.
func plainLen[S string | []byte](s S) int {
	n := 0
	for len(s)-n >= 8 && isPlain(word(s[n:])) {
		n += 8
	}
	for n < len(s) && s[n] < utf8.RuneSelf && plain[s[n]] {
		n++
	}
	return n
}

// word is the first eight bytes of s.
func word[S string | []byte](s S) uint64 {
	b := s[:8]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// isPlain reports whether none of the eight bytes of w needs an escape.
func isPlain(w uint64) bool {
	const (
		each = 0x0101010101010101 // times a byte: that byte, eight times
		high = 0x80 * each
	)
	// If all eight bytes are ASCII, control has the high bit of each byte below
	// the space, and the other three words lack the high bit of each byte
	// that they are named after. Pairs of characters that differ in one bit
	// share a word.
	control := w - ' '*each
	quoteAmp := (w&^(4*each) ^ '"'*each) + 0x7f*each
	lessMore := (w&^(2*each) ^ '<'*each) + 0x7f*each
	backslash := (w ^ '\\'*each) + 0x7f*each
	return (w|control|^(quoteAmp&lessMore&backslash))&high == 0
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}

func decodeRune[S string | []byte](s S) (rune, int) {
	n := min(len(s), utf8.UTFMax)
	return utf8.DecodeRuneInString(string(s[:n]))
}
