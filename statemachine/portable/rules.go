package portable

import (
	"errors"
	"fmt"
	"strings"

	"copse/statemachine/auth"
	"copse/statemachine/tree"
)

// rules are what holds from line to line. Writer and Reader check the same ones.
type rules struct {
	head    Header
	section int    // of the line before
	last    string // the key or name before, in this section
	dirs    []int  // the lengths of the keys in last that are directories: its ancestors, and itself if it is one
	nodes   uint64
	event   tree.Index // the event before
}

// The sections, in their order.
const (
	sectionNodes = iota
	sectionRoles
	sectionUsers
	sectionEvents
)

// check checks the next line.
func (r *rules) check(it *Item) error {
	switch {
	case it.Node != nil:
		if err := r.enter(sectionNodes); err != nil {
			return err
		}
		return r.node(it.Node)
	case it.Role != nil:
		if err := r.enter(sectionRoles); err != nil {
			return err
		}
		if it.Role.Name == auth.Root {
			return errors.New("the role root, which is built in")
		}
		return r.name(it.Role.Name)
	case it.User != nil:
		if err := r.enter(sectionUsers); err != nil {
			return err
		}
		return r.name(it.User.Name)
	case it.Event != nil:
		if err := r.enter(sectionEvents); err != nil {
			return err
		}
		return r.window(it.Event)
	}
	return errForm
}

func (r *rules) enter(section int) error {
	if section < r.section {
		return errors.New("nodes, roles, users and events are not in this order")
	}
	if section != r.section {
		r.section, r.last = section, ""
	}
	return nil
}

func (r *rules) node(n *tree.Node) error {
	if err := r.head.checkNode(n); err != nil {
		return err
	}
	if r.last != "" && tree.CompareKeys(r.last, n.Key) >= 0 {
		return fmt.Errorf("the key %q does not come after %q", n.Key, r.last)
	}
	parent := max(strings.LastIndexByte(n.Key, '/'), 0)
	for len(r.dirs) > 0 && !tree.Within(r.last[:r.dirs[len(r.dirs)-1]], n.Key) {
		r.dirs = r.dirs[:len(r.dirs)-1]
	}
	if parent > 0 && (len(r.dirs) == 0 || r.dirs[len(r.dirs)-1] != parent) {
		return fmt.Errorf("the key %q without the directory above it", n.Key)
	}
	if r.nodes++; r.nodes > r.head.Nodes {
		return fmt.Errorf("more nodes than the %d of the header", r.head.Nodes)
	}
	if r.last = n.Key; n.Dir {
		r.dirs = append(r.dirs, len(n.Key))
	}
	return nil
}

// checkNode checks what holds for a node by itself.
func (h *Header) checkNode(n *tree.Node) error {
	switch {
	case n.Key == "/" || tree.Clean(n.Key) != n.Key:
		return fmt.Errorf("%q is not a key", n.Key)
	case n.Created == 0 || n.Modified < n.Created || n.Modified > h.Index:
		return fmt.Errorf("the key %q was created at %d and modified at %d, in a tree at %d", n.Key, n.Created, n.Modified, h.Index)
	case n.Dir && len(n.Value) > 0:
		return fmt.Errorf("the directory %q with a value", n.Key)
	case len(n.Value) > ValueLimit:
		return fmt.Errorf("the key %q with a value of %d bytes, above the limit of %d", n.Key, len(n.Value), ValueLimit)
	}
	return nil
}

func (r *rules) name(name string) error {
	if name == "" || r.last != "" && name <= r.last {
		return fmt.Errorf("the name %q does not come after %q", name, r.last)
	}
	r.last = name
	return nil
}

func (r *rules) window(e *tree.Event) error {
	switch at := e.Index(); {
	case r.head.Window == 0:
		return errors.New("an event, though the header has no window")
	case at < r.head.Window || at <= r.event || at > r.head.Index:
		return fmt.Errorf("an event at %d, after %d, in a window from %d to %d", at, r.event, r.head.Window, r.head.Index)
	case e.Action < tree.ActionSet || e.Action > tree.ActionExpire:
		return errors.New("an event without an action")
	case e.HasPrev && e.Prev.Key != e.Node.Key:
		return fmt.Errorf("an event of %q with the former node of %q", e.Node.Key, e.Prev.Key)
	}
	r.event = e.Index()
	if e.HasPrev {
		if err := r.head.checkNode(&e.Prev); err != nil {
			return err
		}
	}
	return r.head.checkNode(&e.Node)
}

func (r *rules) end() error {
	if r.nodes != r.head.Nodes {
		return fmt.Errorf("%d nodes, though the header has %d", r.nodes, r.head.Nodes)
	}
	return nil
}
