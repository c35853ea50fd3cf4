package httpfront

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/valyala/fasthttp"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// serveTxn carries out several writes, or none. etcd has no such path.
func (s *Server) serveTxn(ctx *fasthttp.RequestCtx, x *exchange, _ string) {
	now := s.arrival(x)
	t, err := parseTxn(ctx.Request.Body(), s.opts.MaxRequestBytes, now)
	if err != nil {
		writeError(ctx, err)
		return
	}
	x.params = params{}
	if err := x.params.scan(x.query); err != nil {
		writeError(ctx, invalid(tree.CodeInvalidForm, err.Error()))
		return
	}
	x.req = request{kind: kindWrite, cmd: t.Command(now.UnixNano())}
	f := fields{params: &x.params}
	x.req.noValue, x.req.cmd.Asked.Base64 = f.bool(paramNoValueOnSuccess), f.encoding(&input{})
	if f.identify(&x.req.cmd); f.err != nil {
		writeError(ctx, f.err)
		return
	}
	needs := needsOf(&t)
	if g, ok := s.permit(ctx, needs[0], needs[1:]...); ok {
		s.serveWrite(ctx, x, g)
	}
}

// brief reports whether the answer to a write is its action alone.
func (r *request) brief(reply *tree.Reply) bool {
	return r.noValue && reply.Action != 0 && !reply.Action.Removes()
}

// print makes the JSON of a write's answer what its client wants, once.
func (x *exchange) print(reply *tree.Reply) {
	r := &x.req
	if x.printed {
		return
	}
	if x.printed = true; !reply.Print() {
		return
	}
	if r.cmd.Asked.Base64 { // of a mirror whose source is a copse, it has value64 already
		reply.JSON = reply.Binary.AppendBase64(nil, reply.JSON)
	}
	if r.noValue && r.cmd.Op == tree.OpTxn {
		reply.JSON = withoutNodes(reply.JSON)
	}
}

// making is about how many bytes print takes for a reply that is printed late.
func (x *exchange) making(reply *tree.Reply) int64 {
	making := int64(reply.Late.Making())
	if x.req.cmd.Asked.Base64 {
		making *= 2
	}
	return making
}

// withoutNodes returns a transaction's answer with the actions alone, unless they are removals: of each event
// what noValueOnSuccess leaves of an answer with that event. An event is a line.
func withoutNodes(json []byte) (out []byte) {
	begin := []byte(`{"action":"`)
	for line := range bytes.Lines(json) {
		before, event, found := bytes.Cut(line, begin)
		action, _, _ := bytes.Cut(event, []byte{'"'})
		if !found || string(action) == tree.ActionDelete.String() || string(action) == tree.ActionCompareAndDelete.String() {
			out = append(out, line...)
			continue
		}
		out = append(append(append(out, before...), begin...), action...)
		out = append(out, "\"}\n"...)
	}
	return out
}

// needsOf are the permissions that a transaction needs, that of an operation first.
func needsOf(t *txn.Txn) (needs []need) {
	for i := range t.Ops {
		switch op := &t.Ops[i]; op.Op {
		case tree.OpRename:
			needs = append(needs, need{auth.Write, op.Key, true}, need{auth.Read, op.Key, true}, need{auth.Write, op.PrevValue, true})
		case tree.OpCopy:
			needs = append(needs, need{auth.Write, op.PrevValue, true}, need{auth.Read, op.Key, true})
		default:
			needs = append(needs, need{auth.Write, op.Key, op.Recursive})
		}
	}
	for i := range t.Compares {
		needs = append(needs, need{auth.Read, t.Compares[i].Key, false})
	}
	return needs
}

// fromBase64 sets a field from the one that has the same in base64, if that is given.
func fromBase64(name string, to **string, in64 *string) *tree.Error {
	if in64 == nil {
		return nil
	}
	if *to != nil {
		return invalid(tree.CodeInvalidField, fmt.Sprintf("%q and %q can't be used together", name, name+"64"))
	}
	value, err := base64.StdEncoding.DecodeString(*in64)
	if err != nil {
		return invalid(tree.CodeInvalidField, fmt.Sprintf("invalid value for %q", name+"64"))
	}
	text := string(value)
	*to = &text
	return nil
}
