package httpfront

import (
	"time"

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
	base64    bool          // events show values as value64
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
	f.number(paramWaitIndex, tree.CodeIndexNaN)
	recursive := f.bool(paramRecursive)
	f.bool(paramSorted)
	wait := f.bool(paramWait)
	dir := f.bool(paramDir)
	quorum := f.bool(paramQuorum)
	f.bool(paramStream)
	f.check(!wait || in.method == methodGet, tree.CodeInvalidField, `"wait" can only be used with GET requests`)
	prevValue := p[paramPrevValue].text
	f.check(!p[paramPrevValue].given || len(prevValue) > 0, tree.CodePrevValueEmpty, `"prevValue" cannot be empty`)
	noValue := f.bool(paramNoValueOnSuccess)
	expires, hasTTL := f.lifetime(in.now)
	prevExist := f.bool(paramPrevExist)
	refresh := f.bool(paramRefresh)
	waits := wait && !quorum
	raw := f.raw(in, waits)
	f.check(!refresh || len(p[paramValue].text) == 0, tree.CodeRefreshValue, "A value was provided on a refresh")
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
	case in.method == methodGet || in.method == methodHead:
		r.kind, r.recursive = kindRead, recursive || query.Page.Hidden || query.Page.Depth > 1
		r.query = query
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
			Value:     p[paramValue].text,
			PrevValue: view(prevValue),
			PrevIndex: tree.Index(prevIndex),
			Expires:   expires,
			Now:       in.now.UnixNano(),
		}
		r.cmd.Asked.Base64, r.cmd.Op = f.encoding(in), operation(&r.cmd, in.method, p[paramPrevExist].given, prevExist)
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
