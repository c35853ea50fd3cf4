package httpfront

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// txnKeyLimit is how long a key in a transaction may be: about as long as one in a request line.
const txnKeyLimit = 1 << 20

// txnJSON is the body of a transaction.
type txnJSON struct {
	Compare few[compareJSON] `json:"compare"`
	Ops     few[opJSON]      `json:"ops"`
}

type compareJSON struct {
	Key     *string `json:"key"`
	Value   *string `json:"value"`
	Value64 *string `json:"value64"`
	Index   *uint64 `json:"index"`
	Exists  *bool   `json:"exists"`
}

// opJSON is an operation: a command of v2 by the name of its action, with the parameters of v2.
type opJSON struct {
	Op      string  `json:"op"`
	Key     *string `json:"key"`
	To      *string `json:"to"`
	Value   *string `json:"value"`
	Value64 *string `json:"value64"`
	TTL     *uint64 `json:"ttl"`
	TTLMs   *uint64 `json:"ttlMs"`
	beforeJSON
	Dir       *bool `json:"dir"`
	Recursive *bool `json:"recursive"`
	Refresh   *bool `json:"refresh"`
	Overwrite *bool `json:"overwrite"`
}

// beforeJSON is what has to have been there before an operation.
type beforeJSON struct {
	PrevValue   *string `json:"prevValue"`
	PrevValue64 *string `json:"prevValue64"`
	PrevIndex   *uint64 `json:"prevIndex"`
}

// parseTxn reads the body of a transaction. Whatever has no meaning where it stands is refused.
func parseTxn(body []byte, limit int, now time.Time) (t txn.Txn, _ *tree.Error) {
	if len(body) > limit {
		return t, invalid(tree.CodeInvalidForm, errBodyTooLarge.Error())
	}
	if !utf8.Valid(body) { // Go's decoder would replace what it can't read
		return t, invalid(tree.CodeInvalidForm, "the body isn't UTF-8")
	}
	var in txnJSON
	if err := decodeOne(body, &in); err != nil {
		return t, err
	}
	if len(in.Ops) == 0 {
		return t, invalid(tree.CodeInvalidField, `"ops" is missing or empty`)
	}
	for i := range in.Compare {
		c, err := in.Compare[i].compare()
		if err != nil {
			return t, inList("compare", i, err)
		}
		t.Compares = append(t.Compares, c)
	}
	weight := 0
	for i := range in.Ops {
		op, err := in.Ops[i].command(now)
		if err != nil {
			return t, inList("ops", i, err)
		}
		t.Ops = append(t.Ops, op)
		if weight += keyWeight(op.Key); op.Op == tree.OpCopy || op.Op == tree.OpRename {
			weight += keyWeight(op.PrevValue)
		}
	}
	if weight > keyWeightLimit {
		return t, invalid(tree.CodeInvalidField, `the keys of "ops" are too deep together`)
	}
	return t, nil
}

// inList says which element of a list an error is about.
func inList(list string, i int, err *tree.Error) *tree.Error {
	return invalid(err.Code, fmt.Sprintf("%s[%d]: %s", list, i, err.Cause))
}

// decodeOne reads one JSON value, and nothing else.
func decodeOne(text []byte, into any) *tree.Error {
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is more behind the JSON value")
		}
	}
	return fieldError(err)
}

// fieldError is v2's error for what the decoder says.
func fieldError(err error) *tree.Error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*tree.Error](err); ok {
		return own
	}
	if wrong, ok := errors.AsType[*stdjson.UnmarshalTypeError](err); ok {
		code, name := tree.CodeInvalidField, wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		switch name {
		case "ttl":
			code = tree.CodeTTLNaN
		case "index", "prevIndex":
			code = tree.CodeIndexNaN
		}
		return invalid(code, fmt.Sprintf("invalid value for %q", cmp.Or(name, "body")))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid(tree.CodeInvalidField, "unknown field "+name)
	}
	return invalid(tree.CodeInvalidForm, err.Error())
}

// few is a list of at most txn.Limit. What is more isn't even read.
type few[T any] []T

// UnmarshalJSON implements encoding/json's Unmarshaler.
func (f *few[T]) UnmarshalJSON(text []byte) error {
	d := stdjson.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if open, _ := d.Token(); open != stdjson.Delim('[') {
		return invalid(tree.CodeInvalidField, `"compare" and "ops" are lists`)
	}
	*f = nil
	for d.More() {
		if len(*f) == txn.Limit {
			return invalid(tree.CodeInvalidField, fmt.Sprintf("more than %d compares or operations", txn.Limit))
		}
		var one T
		if err := d.Decode(&one); err != nil {
			return fieldError(err)
		}
		*f = append(*f, one)
	}
	return nil
}

func (c *compareJSON) compare() (out txn.Compare, _ *tree.Error) {
	key, err := keyField("key", c.Key)
	if err == nil {
		err = fromBase64("value", &c.Value, c.Value64)
	}
	conditions := c.Value != nil || c.Index != nil
	switch {
	case err != nil:
		return out, err
	case !conditions && c.Exists == nil:
		return out, invalid(tree.CodeInvalidField, `one of "value", "index" and "exists" is needed`)
	case conditions && c.Exists != nil && !*c.Exists:
		return out, invalid(tree.CodeInvalidField, `what doesn't exist has neither "value" nor "index"`)
	case c.Index != nil && *c.Index == 0:
		return out, invalid(tree.CodeIndexNaN, `invalid value for "index"`)
	}
	out = txn.Compare{Key: key, Absent: c.Exists != nil && !*c.Exists, HasValue: c.Value != nil}
	if c.Value != nil {
		out.Value = []byte(*c.Value)
	}
	if c.Index != nil {
		out.Index = tree.Index(*c.Index)
	}
	return out, nil
}

// txnOps are the operations by their names, each with the fields that it has beside "key".
var txnOps = map[string]struct {
	op     tree.Op
	fields string
}{
	"set":              {tree.OpSet, "value ttl ttlMs dir refresh"},
	"create":           {tree.OpCreate, "value ttl ttlMs dir"},
	"createInOrder":    {tree.OpCreateInOrder, "value ttl ttlMs dir"},
	"update":           {tree.OpUpdate, "value ttl ttlMs dir refresh"},
	"compareAndSwap":   {tree.OpCompareAndSwap, "value ttl ttlMs refresh prevValue prevIndex"},
	"delete":           {tree.OpDelete, "dir recursive"},
	"compareAndDelete": {tree.OpCompareAndDelete, "prevValue prevIndex"},
	"copy":             {tree.OpCopy, "to overwrite"},
	"rename":           {tree.OpRename, "to overwrite"},
}

// meaningless returns the name of a field that is set and not among those, or "".
func (o *opJSON) meaningless(fields string) string {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"to", o.To != nil}, {"value", o.Value != nil}, {"value64", o.Value64 != nil}, {"ttl", o.TTL != nil}, {"ttlMs", o.TTLMs != nil},
		{"prevValue", o.PrevValue != nil}, {"prevValue64", o.PrevValue64 != nil}, {"prevIndex", o.PrevIndex != nil}, {"dir", o.Dir != nil},
		{"recursive", o.Recursive != nil}, {"refresh", o.Refresh != nil}, {"overwrite", o.Overwrite != nil},
	} {
		if f.set && !slices.Contains(strings.Fields(fields), strings.TrimSuffix(f.name, "64")) {
			return f.name
		}
	}
	return ""
}

func (o *opJSON) command(now time.Time) (c tree.Command, _ *tree.Error) {
	known, ok := txnOps[o.Op]
	if !ok {
		return c, invalid(tree.CodeInvalidField, `invalid value for "op"`)
	}
	if name := o.meaningless(known.fields); name != "" {
		return c, invalid(tree.CodeInvalidField, fmt.Sprintf("%q has no meaning for %q", name, o.Op))
	}
	key, err := keyField("key", o.Key)
	if err == nil {
		err = fromBase64("value", &o.Value, o.Value64)
	}
	if err == nil {
		err = fromBase64("prevValue", &o.PrevValue, o.PrevValue64)
	}
	if err != nil {
		return c, err
	}
	c = tree.Command{Op: known.op, Key: key, Dir: is(o.Dir), Recursive: is(o.Recursive), Refresh: is(o.Refresh), Now: now.UnixNano()}
	if o.Value != nil {
		c.Value = []byte(*o.Value)
	}
	if c.Expires, err = o.expires(now); err != nil {
		return c, err
	}
	switch c.Op {
	case tree.OpCompareAndSwap, tree.OpCompareAndDelete:
		err = o.conditions(&c)
	case tree.OpCopy, tree.OpRename:
		c.Recursive = is(o.Overwrite)
		err = o.target(&c)
	case tree.OpCreateInOrder:
		if key == "/" {
			err = invalid(tree.CodeInvalidField, `"createInOrder" in the root is not possible here: its name decides about its shard`)
		}
	}
	if c.Refresh && err == nil {
		err = o.refresh(&c)
	}
	return c, err
}

func (o *opJSON) expires(now time.Time) (int64, *tree.Error) {
	units, unit, name, code := uint64(0), time.Second, "ttl", tree.CodeTTLNaN
	switch {
	case o.TTL != nil && o.TTLMs != nil:
		return 0, invalid(tree.CodeInvalidField, `"ttl" and "ttlMs" can't be used together`)
	case o.TTL != nil:
		units = *o.TTL
	case o.TTLMs != nil:
		units, unit, name, code = *o.TTLMs, time.Millisecond, "ttlMs", tree.CodeInvalidField
	default:
		return 0, nil
	}
	if units > uint64(math.MaxInt64-now.UnixNano())/uint64(unit) {
		return 0, invalid(code, fmt.Sprintf("invalid value for %q", name))
	}
	return now.UnixNano() + int64(units)*int64(unit), nil
}

func (o *opJSON) conditions(c *tree.Command) *tree.Error {
	switch {
	case o.PrevValue == nil && o.PrevIndex == nil:
		return invalid(tree.CodeInvalidField, `"prevValue" or "prevIndex" is needed`)
	case o.PrevValue != nil && *o.PrevValue == "":
		return invalid(tree.CodePrevValueEmpty, `"prevValue" cannot be empty`)
	case o.PrevIndex != nil && *o.PrevIndex == 0:
		return invalid(tree.CodeIndexNaN, `invalid value for "prevIndex"`)
	}
	if o.PrevValue != nil {
		c.PrevValue = *o.PrevValue
	}
	if o.PrevIndex != nil {
		c.PrevIndex = tree.Index(*o.PrevIndex)
	}
	return nil
}

func (o *opJSON) target(c *tree.Command) (err *tree.Error) {
	if c.PrevValue, err = keyField("to", o.To); err != nil {
		return err
	}
	if c.PrevValue == c.Key || tree.Within(c.Key, c.PrevValue) {
		return invalid(tree.CodeInvalidField, `"to" is "key", or below it`)
	}
	return nil
}

// refresh holds a refresh to v2's rules.
func (o *opJSON) refresh(c *tree.Command) *tree.Error {
	switch {
	case len(c.Value) > 0:
		return invalid(tree.CodeRefreshValue, "A value was provided on a refresh")
	case c.Expires == 0:
		return invalid(tree.CodeRefreshTTL, "No TTL value set")
	}
	return nil
}

// keyField returns the key that a field names.
func keyField(name string, text *string) (string, *tree.Error) {
	if text == nil || *text == "" {
		return "", invalid(tree.CodeInvalidField, fmt.Sprintf("%q is missing", name))
	}
	key := tree.Clean(*text)
	if len(key) > txnKeyLimit || tooDeep(key) {
		return "", invalid(tree.CodeInvalidField, fmt.Sprintf("%q is too long or too deep", name))
	}
	return key, nil
}

func is(b *bool) bool { return b != nil && *b }
