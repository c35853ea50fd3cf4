package tree

import (
	"bytes"
	"encoding/base64"
	"strconv"
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

// binary returns copies of e's values that JSON doesn't carry; nil: there are none.
func (e *Event) binary() *Binary {
	var list Binary
	if e.valueForm() == asText && !utf8.Valid(e.Node.Value) {
		list = append(list, bytes.Clone(e.Node.Value))
	}
	if e.HasPrev && !utf8.Valid(e.Prev.Value) {
		list = append(list, bytes.Clone(e.Prev.Value))
	}
	if list == nil {
		return nil
	}
	return &list
}

const (
	valueField   = `"value":"` // can't occur in a string, where quotes are escaped
	value64Field = `"value64":"`
	replaced     = `\ufffd` // how AppendString escapes what isn't UTF-8, and nothing else
)

// AppendBase64 appends json, which is one or several events as AppendEvent prints them, with
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
		var whole bool
		text, json, whole = unquote(text[:0], rest)
		value := text
		if !whole && len(b) > 0 {
			value, b = b[0], b[1:]
		}
		dst = append(dst, value64Field...)
		dst = append(base64.StdEncoding.AppendEncode(dst, value), '"')
	}
}

// AppendBase64 appends n's JSON with value64 in place of each value.
func (n *EncodedEvent) AppendBase64(dst []byte) []byte {
	if n.Binary == nil {
		return Binary(nil).AppendBase64(dst, n.JSON)
	}
	return n.Binary.AppendBase64(dst, n.JSON)
}

// unquote appends the string that json begins with, as AppendString prints it but without the first quote,
// and returns what is behind its last one. whole reports that it was UTF-8. Of what isn't such a string, the
// rest is ignored.
func unquote(dst, json []byte) (text, rest []byte, whole bool) {
	whole = true
	for {
		n := bytes.IndexAny(json, `"\\`)
		if n < 0 {
			return append(dst, json...), nil, whole
		}
		dst = append(dst, json[:n]...)
		if json = json[n:]; json[0] == '"' {
			return dst, json[1:], whole
		}
		escape := json[:min(2, len(json))]
		switch string(escape) {
		case `\n`:
			dst = append(dst, '\n')
		case `\r`:
			dst = append(dst, '\r')
		case `\t`:
			dst = append(dst, '\t')
		case `\u`:
			escape = json[:min(len(replaced), len(json))]
			whole = whole && string(escape) != replaced
			r, _ := strconv.ParseUint(string(escape[2:]), 16, 16)
			dst = utf8.AppendRune(dst, rune(r))
		default:
			dst = append(dst, escape[1:]...)
		}
		json = json[len(escape):]
	}
}
