package httpfront

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unsafe"

	"copse/statemachine/tree"
)

// fields parses typed parameters and keeps the first error.
type fields struct {
	params *params
	err    *tree.Error
}

func (f *fields) check(ok bool, code tree.Code, cause string) {
	if !ok && f.err == nil {
		f.err = invalid(code, cause)
	}
}

func (f *fields) number(id paramID, code tree.Code) uint64 {
	p := &f.params[id]
	if !p.given {
		return 0
	}
	n, ok := parseDecimal(p.text)
	if !ok {
		f.check(false, code, `invalid value for "`+paramNames[id]+`"`)
	}
	return n
}

func (f *fields) bool(id paramID) bool {
	p := &f.params[id]
	if !p.given {
		return false
	}
	switch string(p.text) {
	case "1", "t", "T", "true", "TRUE", "True":
		return true
	case "0", "f", "F", "false", "FALSE", "False":
		return false
	}
	name := `"` + paramNames[id] + `"`
	if id == paramPrevExist || id == paramRefresh {
		name = paramNames[id] // v2 leaves these two unquoted
	}
	f.check(false, tree.CodeInvalidField, "invalid value for "+name)
	return false
}

// lifetime returns when a node with the given time to live expires. ttl=0 is legal and means
// now. A time that overflows is refused; in etcd it wraps around. ttlMs isn't v2's: what
// isn't a number, even nothing, is refused.
func (f *fields) lifetime(now time.Time) (expires int64, given bool) {
	seconds, ms := len(f.params[paramTTL].text) > 0, f.params[paramTTLMs].given
	f.check(!seconds || !ms, tree.CodeInvalidField, `"ttl" and "ttlMs" can't be used together`)
	switch {
	case seconds:
		return f.after(now, paramTTL, time.Second, tree.CodeTTLNaN), true
	case ms:
		return f.after(now, paramTTLMs, time.Millisecond, tree.CodeInvalidField), true
	}
	return 0, false
}

// after returns the time that is as many units from now as the parameter says.
func (f *fields) after(now time.Time, id paramID, unit time.Duration, code tree.Code) int64 {
	n, at := f.number(id, code), now.UnixNano()
	if n > uint64(math.MaxInt64-at)/uint64(unit) {
		f.check(false, code, `invalid value for "`+paramNames[id]+`"`)
		return 0
	}
	return at + int64(n)*int64(unit)
}

// raw returns whether the value goes as it is: in the body of a write, or of the answer to a read. Nothing else
// is a value.
func (f *fields) raw(in *input, watches bool) bool {
	raw := f.bool(paramRaw)
	switch {
	case !raw:
	case watches || in.method == methodDelete:
		f.check(false, tree.CodeInvalidField, `"raw" is for reads and writes of values`)
	case in.raw:
		f.check(!f.params[paramValue].given, tree.CodeInvalidField, `"raw" and "value" can't be used together`)
		f.params[paramValue] = param{text: in.body, given: true}
	default:
		f.check(in.method == methodGet || in.method == methodHead, tree.CodeInvalidField, `"raw" has to be in the query`)
	}
	f.value64()
	return raw
}

// value64 takes the value of a write from its base64.
func (f *fields) value64() {
	p := &f.params[paramValue64]
	if !p.given {
		return
	}
	f.check(!f.params[paramValue].given, tree.CodeInvalidField, `"value" and "value64" can't be used together`)
	value, err := base64.StdEncoding.AppendDecode(nil, p.text)
	f.check(err == nil, tree.CodeInvalidField, `invalid value for "value64"`)
	f.params[paramValue] = param{text: value, given: true}
}

// encoding returns whether JSON shows values in base64. An answer that is one has no JSON.
func (f *fields) encoding(in *input) bool {
	p := &f.params[paramEncoding]
	if !p.given {
		return false
	}
	f.check(string(p.text) == "base64", tree.CodeInvalidField, `invalid value for "encoding"`)
	f.check(in.raw || !f.bool(paramRaw), tree.CodeInvalidField, `"raw" and "encoding" can't be used together`)
	return true
}

// query returns what a read is to show, and how up to date it is to be. To other requests
// what v2 doesn't have of that means nothing, as in etcd.
func (f *fields) query(in *input, reads bool) tree.Query {
	if !reads {
		return tree.Query{}
	}
	stale := f.duration(paramMaxStale, 0)
	return tree.Query{
		Key:       in.key,
		Recursive: f.bool(paramRecursive),
		Sorted:    f.bool(paramSorted),
		Quorum:    f.bool(paramQuorum) && in.method == methodGet || f.params[paramMaxStale].given && stale == 0,
		MaxStale:  stale,
		MinIndex:  tree.Index(f.number(paramMinIndex, tree.CodeIndexNaN)),
		Page:      f.page(in),
	}
}

// watch returns what a watch asks for. To other requests what v2 doesn't have of that means
// nothing.
func (f *fields) watch(in *input, waits bool) watchRequest {
	if !waits {
		return watchRequest{}
	}
	return watchRequest{
		stream:    f.bool(paramStream),
		since:     tree.Index(f.number(paramWaitIndex, tree.CodeIndexNaN)),
		wait:      f.duration(paramWaitMax, time.Millisecond),
		heartbeat: f.duration(paramHeartbeat, time.Millisecond),
		prefixes:  f.prefixes(in.key),
		base64:    f.encoding(in),
	}
}

// prefixes returns the keys that a watch is for, each the one of the request or below it:
// whoever decides by paths what may be asked need not know of them.
func (f *fields) prefixes(within string) (list []string) {
	p := &f.params[paramPrefix]
	f.check(p.more < prefixLimit, tree.CodeInvalidField, `more than `+strconv.Itoa(prefixLimit)+` times "prefix"`)
	for ; p != nil && p.given && f.err == nil; p = p.next {
		key := keyOf(string(p.text))
		f.check(isClean(p.text) && (key == within || tree.Within(within, key)) && !tooDeep(key),
			tree.CodeInvalidField, `"prefix" must be the key that is watched, or one below it`)
		list = append(list, string(p.text))
	}
	return list
}

func (f *fields) page(in *input) tree.Page {
	p := tree.Page{
		Limit:    f.positive(paramLimit),
		After:    view(f.params[paramAfter].text),
		At:       tree.Index(f.number(paramAtIndex, tree.CodeIndexNaN)),
		Depth:    f.positive(paramDepth),
		KeysOnly: f.bool(paramKeysOnly),
		Count:    f.bool(paramCountOnly),
		Hidden:   f.bool(paramShowHidden),
		Base64:   f.encoding(in),
	}
	f.check(!f.params[paramAfter].given || tree.Within(in.key, p.After) && tree.Clean(p.After) == p.After,
		tree.CodeInvalidField, `"after" must be a key below the one that is read`)
	f.check(!tooDeep(p.After), tree.CodeInvalidField, `"after" is too deep`)
	f.check(p == tree.Page{Base64: p.Base64} || !f.bool(paramRaw), tree.CodeInvalidField, `"raw" can't be used for pages and parts of a listing`)
	return p
}

// durationLimit bounds every duration of a request.
const durationLimit = 24 * time.Hour

// duration returns a time like 1m30s, or a number of seconds; 0 if it isn't given.
func (f *fields) duration(id paramID, least time.Duration) time.Duration {
	p := &f.params[id]
	if !p.given {
		return 0
	}
	d, err := time.ParseDuration(string(p.text))
	if n, ok := parseDecimal(p.text); ok {
		d, err = time.Duration(min(n, math.MaxInt32))*time.Second, nil
	}
	f.check(err == nil && d >= least && d <= durationLimit, tree.CodeInvalidField, `invalid value for "`+paramNames[id]+`"`)
	return d
}

// identify gives a write the id by which it may be repeated, if it has one.
func (f *fields) identify(c *tree.Command) {
	if p := &f.params[paramRequestID]; p.given {
		f.check(c.Identify(view(p.text)), tree.CodeInvalidField, `"requestId" must be 1 to 128 printable ASCII characters`)
	}
}

// positive returns a number of at least 1; 0 if it isn't given.
func (f *fields) positive(id paramID) int {
	if !f.params[id].given {
		return 0
	}
	n := f.number(id, tree.CodeInvalidField)
	f.check(n > 0 && n <= math.MaxInt32, tree.CodeInvalidField, `invalid value for "`+paramNames[id]+`"`)
	return int(n & math.MaxInt32)
}

// parseDecimal reads an unsigned 64-bit decimal: digits only, at least one.
func parseDecimal(s []byte) (n uint64, ok bool) {
	for _, c := range s {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(s) > 0
}

// invalid is the error for a request that never reached the tree: its index is 0.
func invalid(code tree.Code, cause string) *tree.Error {
	return &tree.Error{Code: code, Cause: cause}
}

// view returns b as a string without copying it. It is valid as long as nobody writes to b:
// for bytes of a request, until that is answered.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
