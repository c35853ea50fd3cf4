package httpfront

import (
	"math"
	"strconv"
	"time"
	"unsafe"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// request is a parsed key request: a read, a watch or a write, by kind.
type request struct {
	kind      requestKind
	recursive bool         // as it was sent, whatever the method; for a read, whether it shows more than v2's listing of a directory
	query     tree.Query   // kindRead
	watch     watchRequest // kindWatch
	cmd       tree.Command // kindWrite
	modified  tree.Index   // of what a kindRead of raw bytes has found
	noValue   bool         // noValueOnSuccess: the answer has the action alone
}

type requestKind uint8

const (
	kindRead requestKind = iota + 1
	kindWatch
	kindWrite
)

// access is what the request needs a permission for. A writer sees the value before in its
// answer, as in etcd, and needs none to read.
func (r *request) access() auth.Access {
	if r.kind == kindWrite {
		return auth.Write
	}
	return auth.Read
}

// watchRequest is a GET with wait=true.
type watchRequest struct {
	stream    bool
	since     tree.Index
	wait      time.Duration // waitMax; 0: it isn't given
	heartbeat time.Duration // 0: it isn't given
	// prefixes are the paths of what is watched instead of the request's own key.
	prefixes []string
}

// more are the needs of the prefixes behind the first.
func (w *watchRequest) more(recursive bool) (list []need) {
	for _, path := range w.prefixes[1:] {
		list = append(list, need{auth.Read, path, recursive})
	}
	return list
}

// input is a raw key request. parse works in place: it may change query and body, and its
// result refers to them.
type input struct {
	method      method
	key         string
	query       []byte
	contentType []byte
	body        []byte
	bodyLimit   int
	now         time.Time
	raw         bool // set by params.read: the body is the value
}

// parse parses in into r, or returns v2's error. Every known parameter is checked, whatever
// the method, in v2's order; the first error counts.
func (r *request) parse(p *params, in *input) *tree.Error {
	*p = params{}
	if err := p.read(in); err != nil {
		return invalid(tree.CodeInvalidForm, err.Error())
	}
	f := fields{params: p}
	prevIndex := f.number(paramPrevIndex, tree.CodeIndexNaN)
	waitIndex := f.number(paramWaitIndex, tree.CodeIndexNaN)
	recursive := f.bool(paramRecursive)
	sorted := f.bool(paramSorted)
	wait := f.bool(paramWait)
	dir := f.bool(paramDir)
	quorum := f.bool(paramQuorum)
	stream := f.bool(paramStream)
	f.check(!wait || in.method == methodGet, tree.CodeInvalidField, `"wait" can only be used with GET requests`)
	prevValue := p[paramPrevValue].text
	f.check(!p[paramPrevValue].given || len(prevValue) > 0, tree.CodePrevValueEmpty, `"prevValue" cannot be empty`)
	noValue := f.bool(paramNoValueOnSuccess)
	expires, hasTTL := f.lifetime(in.now)
	prevExist := f.bool(paramPrevExist)
	refresh := f.bool(paramRefresh)
	waits := wait && !quorum
	raw := f.raw(in, waits)
	value := p[paramValue].text
	f.check(!refresh || len(value) == 0, tree.CodeRefreshValue, "A value was provided on a refresh")
	f.check(!refresh || hasTTL, tree.CodeRefreshTTL, "No TTL value set")
	query := f.query(in, !waits && (in.method == methodGet || in.method == methodHead))
	watch := f.watch(in, waits)
	if f.err != nil {
		return f.err
	}

	r.noValue, r.recursive = noValue, recursive
	switch {
	case in.method == methodGet && waits:
		r.kind = kindWatch
		r.watch = watch
		r.watch.stream, r.watch.since = stream, tree.Index(waitIndex)
	case in.method == methodGet || in.method == methodHead:
		r.kind, r.recursive = kindRead, recursive || query.Page.Hidden || query.Page.Depth > 1
		r.query = query
		r.query.Recursive, r.query.Sorted = recursive, sorted
		r.query.Quorum = r.query.Quorum || quorum && in.method == methodGet
		if raw {
			r.query.Raw = &r.modified
		}
	default:
		r.kind = kindWrite
		r.cmd = tree.Command{
			Key:       in.key,
			Dir:       dir,
			Recursive: recursive,
			Refresh:   refresh,
			Value:     value,
			PrevValue: view(prevValue),
			PrevIndex: tree.Index(prevIndex),
			Expires:   expires,
			Now:       in.now.UnixNano(),
		}
		r.cmd.Op = operation(&r.cmd, in.method, p[paramPrevExist].given, prevExist)
		f.identify(&r.cmd)
	}
	return f.err
}

// operation is v2's dispatch of a write. It clears the parameters that the chosen operation
// ignores.
func operation(c *tree.Command, m method, existGiven, exist bool) tree.Op {
	compare := c.PrevValue != "" || c.PrevIndex != 0
	switch {
	case m == methodDelete && compare:
		return tree.OpCompareAndDelete
	case m == methodDelete:
		return tree.OpDelete
	case m == methodPost:
		c.Refresh, c.PrevValue, c.PrevIndex = false, "", 0
		return tree.OpCreateInOrder
	case existGiven && !exist:
		c.Refresh, c.PrevValue, c.PrevIndex = false, "", 0
		return tree.OpCreate
	case compare:
		return tree.OpCompareAndSwap
	case existGiven:
		return tree.OpUpdate
	default:
		return tree.OpSet
	}
}

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
	return raw
}

// query returns what a read is to show otherwise than v2, and how up to date it is to be. To
// other requests these parameters mean nothing, as in etcd.
func (f *fields) query(in *input, reads bool) tree.Query {
	if !reads {
		return tree.Query{}
	}
	stale := f.duration(paramMaxStale, 0)
	return tree.Query{
		Key:      in.key,
		Quorum:   f.params[paramMaxStale].given && stale == 0,
		MaxStale: stale,
		MinIndex: tree.Index(f.number(paramMinIndex, tree.CodeIndexNaN)),
		Page:     f.page(in.key),
	}
}

// watch returns what a watch asks for that v2 doesn't have. To other requests that means
// nothing.
func (f *fields) watch(in *input, waits bool) watchRequest {
	if !waits {
		return watchRequest{}
	}
	return watchRequest{
		wait:      f.duration(paramWaitMax, time.Millisecond),
		heartbeat: f.duration(paramHeartbeat, time.Millisecond),
		prefixes:  f.prefixes(in.key),
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

func (f *fields) page(key string) tree.Page {
	p := tree.Page{
		Limit:    f.positive(paramLimit),
		After:    view(f.params[paramAfter].text),
		At:       tree.Index(f.number(paramAtIndex, tree.CodeIndexNaN)),
		Depth:    f.positive(paramDepth),
		KeysOnly: f.bool(paramKeysOnly),
		Count:    f.bool(paramCountOnly),
		Hidden:   f.bool(paramShowHidden),
	}
	f.check(!f.params[paramAfter].given || tree.Within(key, p.After) && tree.Clean(p.After) == p.After,
		tree.CodeInvalidField, `"after" must be a key below the one that is read`)
	f.check(!tooDeep(p.After), tree.CodeInvalidField, `"after" is too deep`)
	f.check(p == tree.Page{} || !f.bool(paramRaw), tree.CodeInvalidField, `"raw" can't be used for pages and parts of a listing`)
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
