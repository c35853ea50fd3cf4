package tree

import (
	"bytes"
	"encoding/base64"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Binary are values that aren't UTF-8, so that JSON shows them with U+FFFD in place of what is
// wrong: those of one event, or of several, in the order in which their JSON has them.
type Binary [][]byte

// Bytes is how many bytes the values have together.
func (b *Binary) Bytes() (n int) {
	if b != nil {
		for _, value := range *b {
			n += len(value)
		}
	}
	return n
}

// Each puts what replace returns for each value in its place. Only who has made them may do so.
func (b *Binary) Each(replace func(value []byte) []byte) {
	if b != nil {
		for i, value := range *b {
			(*b)[i] = replace(value)
		}
	}
}

// binary returns e's values that JSON doesn't carry; nil: there are none.
func (e *Event) binary() *Binary {
	var list Binary
	if e.valueForm() == asText && !utf8.Valid(e.Node.Value) {
		list = append(list, e.Node.Value)
	}
	if e.HasPrev && !utf8.Valid(e.Prev.Value) {
		list = append(list, e.Prev.Value)
	}
	if list == nil {
		return nil
	}
	return new(list) // not its address: list would be on the heap for every event
}

const (
	valueField   = `"value":"` // can't occur in a string, where quotes are escaped
	value64Field = `"value64":"`
	replaced     = `\ufffd` // how AppendString escapes what isn't UTF-8, and nothing else
)

// AppendBase64 appends json, which is one or several events as AppendEvent prints them, or an etcd, with
// value64 in place of each value: its bytes in base64 (RFC 4648, section 4). Those of values
// that aren't UTF-8 are taken from b.
func (b Binary) AppendBase64(dst, json []byte) []byte {
	var text []byte
	for {
		before, rest, found := bytes.Cut(json, []byte(valueField))
		dst = append(dst, before...)
		if !found {
			return dst
		}
		value, rest := cutString(rest)
		switch json = rest; {
		case len(b) > 0 && indexUnescaped(value, replaced) >= 0:
			value, b = b[0], b[1:]
		case bytes.IndexByte(value, '\\') >= 0:
			text = unescape(text[:0], value)
			value = text
		}
		dst = slices.Grow(dst, len(value64Field)+base64.StdEncoding.EncodedLen(len(value))+afterString)
		dst = append(dst, value64Field...)
		dst = append(base64.StdEncoding.AppendEncode(dst, value), '"')
	}
}

// AppendBase64 appends n's JSON with value64 in place of each value.
func (n *EncodedEvent) AppendBase64(dst []byte) []byte {
	json, binary := n.Text(), n.Binary
	if n.Late.IsLeft() {
		binary = n.Late.binary
	}
	if binary == nil {
		return Binary(nil).AppendBase64(dst, json)
	}
	return binary.AppendBase64(dst, json)
}

// cutString returns what is before and behind the quote that ends the JSON string that text begins in.
func cutString(text []byte) (inside, rest []byte) {
	if end := indexUnescaped(text, `"`); end >= 0 {
		return text[:end], text[end+1:]
	}
	return text, nil
}

// indexUnescaped returns where sep is in a JSON string without a backslash before it that makes it
// something else; -1: nowhere.
func indexUnescaped(text []byte, sep string) int {
	for at := 0; ; at += len(sep) {
		next := bytes.Index(text[at:], []byte(sep))
		if next < 0 {
			return -1
		}
		at += next
		if backslashes := at - len(bytes.TrimRight(text[:at], `\`)); backslashes%2 == 0 {
			return at
		}
	}
}

// unescape appends what a JSON string says, which is given without its quotes.
func unescape(dst, text []byte) []byte {
	dst = slices.Grow(dst, len(text))
	for {
		n := bytes.IndexByte(text, '\\')
		if n < 0 {
			return append(dst, text...)
		}
		dst, text = append(dst, text[:n]...), text[n:]
		for len(text) > 1 && text[0] == '\\' { // they come in rows
			if text[1] == 'u' {
				r, size := escapedRune(text)
				dst, text = utf8.AppendRune(dst, r), text[size:]
				continue
			}
			dst, text = append(dst, escaped(text[1])), text[2:]
		}
		if len(text) == 1 { // no JSON ends in a backslash
			return append(dst, text...)
		}
	}
}

// escaped is what a backslash and c stand for.
func escaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

// escapedRune returns what the \u that text begins with stands for, if need be together with the one
// behind it, and how long they are.
func escapedRune(text []byte) (r rune, size int) {
	r = hexRune(text)
	switch {
	case r < 0:
		return utf8.RuneError, len(`\u`)
	case !utf16.IsSurrogate(r):
		return r, len(replaced)
	}
	if pair := utf16.DecodeRune(r, hexRune(text[len(replaced):])); pair != utf8.RuneError {
		return pair, 2 * len(replaced)
	}
	return utf8.RuneError, len(replaced)
}

// hexRune returns the code of the \uXXXX that text begins with; -1: it doesn't.
func hexRune(text []byte) (r rune) {
	if len(text) < len(replaced) || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	for _, c := range text[2:len(replaced)] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
