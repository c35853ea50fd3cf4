package commands

import (
	"context"
	"encoding/json"
	"fmt"

	"copse/config/cli"
)

// several is what goes as a transaction.
func (t *tool) several(ctx context.Context, args any) error {
	if c, ok := args.(*cli.Copy); ok {
		return t.copy(ctx, c)
	}
	return t.txn(ctx, args.(*cli.Txn))
}

// copy is copse mv and cp.
func (t *tool) copy(ctx context.Context, args *cli.Copy) error {
	op := map[string]any{"op": "copy", "key": args.From, "to": args.To}
	if t.line.Name == "mv" {
		op["op"] = "rename"
	}
	if args.Overwrite {
		op["overwrite"] = true
	}
	return t.transact(ctx, map[string]any{"ops": []any{op}})
}

// txn is copse txn.
func (t *tool) txn(ctx context.Context, args *cli.Txn) error {
	body, err := t.read(args.File)
	switch {
	case err != nil:
		return usage("%v", err)
	case !json.Valid(body):
		return usage("that isn't JSON; docs/API.md has an example")
	}
	return t.transact(ctx, json.RawMessage(body))
}

// transact prints the events of a transaction.
func (t *tool) transact(ctx context.Context, body any) error {
	events, err := t.client.Txn(ctx, body)
	if err != nil {
		return err
	}
	for _, e := range events {
		if t.line.Output == "json" {
			err = t.printJSON(e)
		} else {
			_, err = fmt.Fprintf(t.Out, "[%s] %s\n", e.Action, e.Node.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
