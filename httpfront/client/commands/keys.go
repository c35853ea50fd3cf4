package commands

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"unicode/utf8"

	"copse/config/cli"
	"copse/httpfront/client/v2"
)

func (t *tool) get(ctx context.Context, args *cli.Get) error {
	if args.Raw {
		bytes, err := t.client.Raw(ctx, args.Key, args.Quorum)
		if err == nil {
			_, err = t.Out.Write(bytes) // and no newline, which would be part of it
		}
		return err
	}
	r, err := t.client.Get(ctx, args.Key, v2.ReadOptions{Sorted: args.Sort, Quorum: args.Quorum})
	switch {
	case err != nil:
		return err
	case r.Node.Dir:
		return &exit{exitUsage, r.Node.Key + ": is a directory"}
	case args.Base64:
		bytes, err := base64.StdEncoding.DecodeString(r.Node.Value)
		if err != nil {
			return usage("the value of %s isn't base64: leave out --base64", r.Node.Key)
		}
		_, err = t.Out.Write(bytes) // and no newline, which would be part of it
		return err
	}
	return t.printKey(r)
}

// write sets a value as change says.
func (t *tool) write(ctx context.Context, from cli.Value, change v2.Change) error {
	value, err := t.value(from)
	if err != nil {
		return err
	}
	change.Value = &value
	r, err := t.client.Change(ctx, change)
	if err != nil {
		return err
	}
	return t.printDone(r)
}

func (t *tool) make(ctx context.Context, args *cli.Make) error {
	change := v2.Change{Method: http.MethodPut, Key: args.Key, TTL: args.TTL, PrevExist: new(false)}
	if args.InOrder {
		change.Method, change.PrevExist = http.MethodPost, nil
	}
	return t.write(ctx, args.Value, change)
}

func (t *tool) cas(ctx context.Context, args *cli.CAS) error {
	if args.Old == "" {
		return usage("the v2 API can't compare with an empty value: use copse set --swap-with-index")
	}
	return t.write(ctx, args.Value, v2.Change{Method: http.MethodPut, Key: args.Key, TTL: args.TTL, PrevValue: args.Old})
}

// valueLimit bounds what is read for a value: the server takes less.
const valueLimit = 64 << 20

// value is the one that a line names.
func (t *tool) value(v cli.Value) (string, error) {
	var bytes []byte
	switch {
	case v.Value != nil && v.File != "":
		return "", usage("the value is given twice: leave out --file, or the last word")
	case v.Value != nil:
		bytes = []byte(*v.Value)
	default:
		var err error
		if bytes, err = t.read(v.File); err != nil {
			return "", usage("%v", err)
		}
	}
	switch {
	case len(bytes) == 0 && v.Value == nil && v.File == "": // as etcdctl: a script may have no input
		return "", usage("value required: as the last word, from standard input or --file; '' is the empty one")
	case len(bytes) > valueLimit:
		return "", usage("the value has more than %d bytes", valueLimit)
	case v.Base64:
		return base64.StdEncoding.EncodeToString(bytes), nil
	case !utf8.Valid(bytes) && !v.Raw:
		return "", usage("the value isn't UTF-8, and the JSON of the v2 API would change it: --raw stores it as it is, for who reads it with copse get --raw; --base64 stores it whole for all, and copse get --base64 prints it")
	}
	return string(bytes), nil
}

func (t *tool) read(file string) ([]byte, error) {
	from := t.In
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	return io.ReadAll(io.LimitReader(from, valueLimit+1))
}

func (t *tool) dir(ctx context.Context, change v2.Change) error {
	change.Method, change.Dir = http.MethodPut, true
	r, err := t.client.Change(ctx, change)
	if err != nil || t.line.Output == "simple" {
		return err
	}
	return t.printKey(r)
}

func (t *tool) remove(ctx context.Context, change v2.Change) error {
	change.Method = http.MethodDelete
	r, err := t.client.Change(ctx, change)
	if err != nil {
		return err
	}
	return t.printDone(r)
}

// errNotCounted is the error for a server that doesn't know count=true.
var errNotCounted = errors.New("the server doesn't count: it isn't copse, or an older one")

func (t *tool) list(ctx context.Context, args *cli.List) error {
	o := v2.ReadOptions{Sorted: args.Sort, Recursive: args.Recursive, Quorum: args.Quorum, Hidden: args.Hidden, Count: args.Count, Depth: args.Depth}
	r, err := t.client.Get(ctx, args.Key, o)
	if err != nil {
		return err
	}
	if args.Count && r.Node.Dir && r.Count == nil {
		return errNotCounted
	}
	if t.line.Output != "simple" {
		return t.printKey(r)
	}
	if args.Count && r.Node.Dir {
		_, err := fmt.Fprintln(t.Out, *r.Count)
		return err
	}
	out := bufio.NewWriter(t.Out)
	if !r.Node.Dir {
		err = printNames(out, r.Node, args.Slash)
	}
	for _, n := range r.Node.Nodes {
		if err == nil {
			err = printNames(out, n, args.Slash)
		}
	}
	if err != nil {
		return err
	}
	return out.Flush()
}
