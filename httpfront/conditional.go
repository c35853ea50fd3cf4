package httpfront

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"copse/statemachine/tree"
)

// A tag of what has been read is "life-index": the index that the answer is of, and which life of
// the cluster that is an index of (tree.Cluster). It is weak if the answer may show a time to
// live, or is compressed.

var headerETag = []byte("ETag")

// knownLimit is how many tags of one request are looked at.
const knownLimit = 64

// known reads the tags in the request's If-None-Match, which are those of states that the client has, into k.
func (s *Server) known(ctx *fasthttp.RequestCtx, k *tree.Known) {
	k.Any, k.At = false, k.At[:0]
	for _, field := range ctx.Request.Header.PeekAll(fasthttp.HeaderIfNoneMatch) {
		if !readTags(field, s.life(), k) {
			k.Any, k.At = false, k.At[:0] // what can't be read asks for the answer
			return
		}
	}
}

// readTags adds the tags of a field, of the given life, to k. It reports whether the field is
// such as RFC 9110 has it.
func readTags(field, life []byte, k *tree.Known) bool {
	field = bytes.Trim(field, " \t")
	if string(field) == "*" {
		k.Any = true
		return true
	}
	for len(field) > 0 {
		if field[0] == ',' || field[0] == ' ' || field[0] == '\t' { // an element may be empty
			field = field[1:]
			continue
		}
		opaque, rest, ok := cutTag(field)
		if !ok {
			return false
		}
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) > 0 && rest[0] != ',' {
			return false
		}
		field = rest
		if at, ok := readTag(opaque, life); ok && len(k.At) < knownLimit {
			k.At = append(k.At, at)
		}
	}
	return true
}

// cutTag splits off the first of a list of tags, and returns what is between its quotes.
func cutTag(list []byte) (opaque, rest []byte, ok bool) {
	quoted, begun := bytes.CutPrefix(bytes.TrimPrefix(list, []byte("W/")), []byte{'"'})
	opaque, rest, ended := bytes.Cut(quoted, []byte{'"'})
	return opaque, rest, begun && ended && !slices.ContainsFunc(opaque, func(c byte) bool { return c <= ' ' || c == 0x7f })
}

// readTag returns the index of a tag of the given life.
func readTag(opaque, life []byte) (at tree.Index, ok bool) {
	digits, ok := bytes.CutPrefix(opaque, life)
	if !ok || len(life) == 0 || len(digits) == 0 || digits[0] == '0' {
		return 0, false
	}
	n, ok := parseDecimal(digits)
	return tree.Index(n), ok
}

// setTag sets the tag of an answer.
func (s *Server) setTag(ctx *fasthttp.RequestCtx, t *tree.Tag) {
	var room [40]byte
	if tag := s.appendTag(room[:0], t); len(tag) > 0 {
		ctx.Response.Header.SetCanonical(headerETag, tag)
	}
}

// appendTag appends t as a header has it; nothing if there is none.
func (s *Server) appendTag(dst []byte, t *tree.Tag) []byte {
	life := s.life()
	if t.At == 0 || len(life) == 0 {
		return dst
	}
	if t.Weak {
		dst = append(dst, 'W', '/')
	}
	dst = append(append(dst, '"'), life...)
	dst = strconv.AppendUint(dst, uint64(t.At), 10)
	return append(dst, '"')
}

// stillCurrent reports whether the client of a wait has, by a tag of what it waits to see change, what there still is, as far
// as memory tells. Then it returns the tag, and the state of this member.
func (s *Server) stillCurrent(_ grant, w *tree.Watch, known []tree.Index) (tag tree.Tag, st tree.State, ok bool) {
	if len(known) == 0 {
		return tag, st, false
	}
	tag.Known.At = known
	_, st, err, ok := s.backend.GetCached(nil, &tree.Query{Key: w.Key, Recursive: w.Recursive, Tag: &tag})
	return tag, st, ok && err == nil && tag.Current
}

// tagOf returns the tag that the answer has; nil if none. Peek doesn't find a name that is spelled as this one is.
func tagOf(ctx *fasthttp.RequestCtx) []byte {
	for name, tag := range ctx.Response.Header.All() {
		if bytes.Equal(name, headerETag) {
			return tag
		}
	}
	return nil
}

// life is what the tags of this life of the cluster begin with.
func (s *Server) life() []byte {
	if ids := s.ids(); ids != nil {
		return ids.life
	}
	return nil
}

// renderedIDs are the cluster's ids as headers have them.
type renderedIDs struct{ cluster, life []byte }

// ids returns the cluster's ids, or nil as long as they aren't known. They never change, so they are
// rendered once.
func (s *Server) ids() *renderedIDs {
	if ids := s.renderedIDs.Load(); ids != nil {
		return ids
	}
	c := s.backend.Cluster()
	if c.ID == 0 {
		return nil
	}
	life := hex.AppendEncode(nil, []byte{byte(c.Life >> 24), byte(c.Life >> 16), byte(c.Life >> 8), byte(c.Life)})
	ids := &renderedIDs{cluster: strconv.AppendUint(nil, c.ID, 16), life: append(life, '-')}
	s.renderedIDs.Store(ids)
	return ids
}
