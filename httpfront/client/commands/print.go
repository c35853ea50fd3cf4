package commands

import (
	"encoding/json"
	"fmt"
	"io"

	"copse/httpfront/client/v2"
)

// printKey prints the answer to a request for a key, or an event about one.
func (t *tool) printKey(r *v2.Response) error {
	// A simple removal has printed what was there; the others, what there is.
	removed := r.Action == "delete"
	switch t.line.Output {
	case "json":
		return t.printJSON(r)
	case "extended":
		n := r.Node
		fmt.Fprintf(t.Out, "Key: %s\nCreated-Index: %d\nModified-Index: %d\n", n.Key, n.Created, n.Modified)
		if r.PrevNode != nil {
			fmt.Fprintf(t.Out, "PrevNode.Value: %s\n", r.PrevNode.Value)
		}
		fmt.Fprintf(t.Out, "TTL: %d\nIndex: %d\n", n.TTL, r.Index)
		if removed {
			return nil
		}
		_, err := fmt.Fprintf(t.Out, "\n%s\n", n.Value)
		return err
	}
	if removed && r.PrevNode != nil {
		_, err := fmt.Fprintf(t.Out, "PrevNode.Value: %s\n", r.PrevNode.Value)
		return err
	}
	_, err := fmt.Fprintln(t.Out, r.Node.Value)
	return err
}

// printDone prints the answer to a change of a directory, of which there is nothing to
// say in the simple form.
func (t *tool) printDone(r *v2.Response) error {
	if r.Node.Dir && t.line.Output == "simple" {
		return nil
	}
	return t.printKey(r)
}

func (t *tool) printJSON(v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(t.Out, "%s\n", text)
	}
	return err
}

// printNames prints the names of what is in a directory.
func printNames(out io.Writer, n *v2.Node, slash bool) error {
	name := n.Key
	if slash && n.Dir {
		name += "/"
	}
	if _, err := fmt.Fprintln(out, name); err != nil {
		return err
	}
	for _, below := range n.Nodes {
		if err := printNames(out, below, slash); err != nil {
			return err
		}
	}
	return nil
}
