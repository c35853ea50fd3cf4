package tree

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendEvent appends e as v2 prints it, with the newline.
func AppendEvent(dst []byte, e *Event) []byte {
	dst = append(dst, `{"action":"`...)
	dst = append(dst, e.Action.String()...)
	dst = append(dst, `","node":`...)
	dst = appendNode(dst, &e.Node, e.Now, !e.Action.Removes())
	if e.HasPrev {
		dst = append(dst, `,"prevNode":`...)
		dst = appendNode(dst, &e.Prev, e.Now, true)
	}
	return append(dst, '}', '\n')
}

// AppendGet appends the answer to a read of the single node n at now.
func AppendGet(dst []byte, n *Node, now int64) []byte {
	dst = append(dst, getHead...)
	dst = appendNode(dst, n, now, true)
	return append(dst, '}', '\n')
}

const getHead = `{"action":"get","node":`

// AppendError appends e as v2 prints it, with the newline.
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

// appendNode appends n without children. The node of a removal has no value.
func appendNode(dst []byte, n *Node, now int64, withValue bool) []byte {
	dst = appendNodeHead(dst, n, now, withValue)
	return appendNodeTail(dst, n)
}

// appendNodeHead appends n's fields up to where its children, if shown, go.
// It ends behind a field or, for a root without fields, behind the brace.
func appendNodeHead(dst []byte, n *Node, now int64, withValue bool) []byte {
	dst = append(dst, '{')
	if n.Key != "/" {
		dst = append(dst, `"key":`...)
		dst = AppendString(dst, n.Key)
		dst = append(dst, ',')
	}
	if n.Dir {
		dst = append(dst, `"dir":true,`...)
	} else if withValue {
		dst = append(dst, `"value":`...)
		dst = AppendString(dst, n.Value)
		dst = append(dst, ',')
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

// plain marks the bytes that stand for themselves inside a JSON string.
var plain = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

// AppendString appends s as a JSON string, escaped the way the encoder of
// etcd 3.4's Go did: HTML characters and U+2028/9 by number, each byte that is
// no UTF-8 as U+FFFD, \n \r \t by letter, other control characters by number.
func AppendString[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	for {
		n := plainLen(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			return append(dst, '"')
		}
		if s[0] < utf8.RuneSelf {
			dst = appendEscape(dst, s[0])
			s = s[1:]
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

// plainLen is how many bytes at the front of s stand for themselves. It looks at
// eight of them at once: this is most of the work of a listing.
func plainLen[S string | []byte](s S) int {
	const (
		each = 0x0101010101010101 // a byte's value in each of eight
		high = 0x80 * each
	)
	n := 0
	for len(s)-n >= 8 {
		b := s[n : n+8]
		w := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		// In a word of ASCII, a byte gets its high bit from the first if it is
		// below a space, and from each of the others unless it is one of the two
		// named, which differ in one bit, or the one.
		control := w - ' '*each
		quoteAmp := (w&^(4*each) ^ '"'*each) + 0x7f*each
		lessMore := (w&^(2*each) ^ '<'*each) + 0x7f*each
		backslash := (w ^ '\\'*each) + 0x7f*each
		if (w|control|^(quoteAmp&lessMore&backslash))&high != 0 {
			break
		}
		n += 8
	}
	for n < len(s) && s[n] < utf8.RuneSelf && plain[s[n]] {
		n++
	}
	return n
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
