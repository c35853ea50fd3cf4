package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// Verify reads a backup to its end, as a restore does, and returns the exit code.
func Verify(ctx context.Context, name string, stdout, stderr io.Writer) int {
	f, err := openFile(name)
	var h portable.Header
	if err == nil {
		defer f.Close()
		defer context.AfterFunc(ctx, func() { _ = f.Close() })() // so that it ends when it is interrupted
		h, err = check(f)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	fmt.Fprintf(stdout, "%s is whole: %d nodes of cluster %x at index %d\n", name, h.Nodes, h.ClusterID, h.Index)
	return 0
}

// Inspect prints the header of a backup, and returns the exit code.
func Inspect(name string, stdout, stderr io.Writer) int {
	f, err := openFile(name)
	var r *portable.Reader
	if err == nil {
		defer f.Close()
		r, err = portable.NewReader(f)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	h := r.Header()
	fmt.Fprintf(stdout, "cluster  %x\nindex    %d\nterm     %d\ntime     %s\nshards   %d\nnodes    %d\nauth     %s\nevents   %s\n",
		h.ClusterID, h.Index, h.Term, h.Time.Format(time.RFC3339), h.Shards, h.Nodes,
		map[bool]string{true: "on", false: "off"}[h.AuthEnabled], map[bool]string{true: "none", false: fmt.Sprintf("from %d", h.Window)}[h.Window == 0])
	return 0
}

func openFile(name string) (*os.File, error) {
	if name == "-" {
		return os.Stdin, nil
	}
	f, err := os.Open(name)
	var wrapped *os.PathError
	if errors.As(err, &wrapped) {
		err = wrapped.Err // the caller prints the name
	}
	return f, err
}

// Differ says how the servers among what Diff compares are asked.
type Differ struct {
	Server   Server // for its files; the URL is an operand
	Password Password
}

// Exit codes of Diff.
const (
	differ    = 1
	undecided = 6
)

// Diff compares two backups, each a file or the URL of a server, and prints what differs. It
// returns the exit code: 0 if nothing does.
func Diff(ctx context.Context, d Differ, operands [2]string, stdout, stderr io.Writer) int {
	var sides [2]*side
	for i, operand := range operands {
		s, err := d.open(ctx, operand)
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", redacted(operand), err)
			return undecided
		}
		defer s.close()
		sides[i] = s
	}
	a, b := sides[0], sides[1]
	different := false
	tell := func(sign, what string) {
		different = true
		fmt.Fprintln(stdout, sign, what)
	}
	if a.r.Header().AuthEnabled != b.r.Header().AuthEnabled {
		tell("~", "whether auth is enabled")
	}
	for !a.end || !b.end {
		if a.err != nil || b.err != nil {
			break
		}
		switch order := compare(a, b); {
		case order < 0:
			tell("-", a.name())
			a.next()
		case order > 0:
			tell("+", b.name())
			b.next()
		default:
			if !a.same(b) {
				tell("~", a.name())
			}
			a.next()
			b.next()
		}
	}
	for i, s := range sides {
		if s.err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", redacted(operands[i]), s.err)
			return undecided
		}
	}
	if different {
		return differ
	}
	return 0
}

// isServer reports whether an operand is a URL.
func isServer(operand string) bool {
	return strings.HasPrefix(operand, "http://") || strings.HasPrefix(operand, "https://")
}

func redacted(operand string) string {
	if u, err := url.Parse(operand); err == nil && isServer(operand) {
		return u.Redacted()
	}
	return operand
}

// side is one of what is compared.
type side struct {
	from io.ReadCloser
	r    *portable.Reader
	item *portable.Item
	end  bool
	err  error
}

func (d *Differ) open(ctx context.Context, operand string) (*side, error) {
	s := &side{}
	var err error
	if isServer(operand) {
		b := Backup{Server: d.Server, Password: d.Password}
		if b.Server.URL, err = url.Parse(operand); err == nil {
			s.from, _, err = b.open(ctx)
		}
	} else {
		s.from, err = openFile(operand)
	}
	if err != nil {
		return nil, err
	}
	if s.r, err = portable.NewReader(s.from); err != nil {
		return nil, errors.Join(err, s.from.Close())
	}
	s.next()
	return s, nil
}

func (s *side) close() { _ = s.from.Close() }

// next goes to the next node, role or user: events are no part of the state.
func (s *side) next() {
	for {
		s.item, s.err = s.r.Next()
		if s.err == io.EOF {
			s.item, s.end, s.err = nil, true, nil
		}
		if s.item == nil || s.item.Event == nil {
			return
		}
	}
}

// kind is the place of the item among the kinds of items.
func (s *side) kind() int {
	switch {
	case s.end:
		return 3
	case s.item.User != nil:
		return 2
	case s.item.Role != nil:
		return 1
	}
	return 0
}

// compare says which side's item comes first.
func compare(a, b *side) int {
	if order := a.kind() - b.kind(); order != 0 {
		return order
	}
	switch a.kind() {
	case 0:
		return tree.CompareKeys(a.item.Node.Key, b.item.Node.Key)
	case 1:
		return strings.Compare(a.item.Role.Name, b.item.Role.Name)
	}
	return strings.Compare(a.item.User.Name, b.item.User.Name)
}

func (s *side) name() string {
	switch s.kind() {
	case 0:
		return fmt.Sprintf("%q", s.item.Node.Key)
	case 1:
		return fmt.Sprintf("role %q", s.item.Role.Name)
	}
	return fmt.Sprintf("user %q", s.item.User.Name)
}

// same compares two items of the same name.
func (s *side) same(b *side) bool {
	switch s.kind() {
	case 0:
		x, y := s.item.Node, b.item.Node
		return x.Dir == y.Dir && string(x.Value) == string(y.Value) && x.Expires == y.Expires && x.Modified == y.Modified && x.Created == y.Created
	case 1:
		return string(s.item.Role.Append(nil)) == string(b.item.Role.Append(nil))
	}
	x, y := s.item.User, b.item.User
	return x.Hash == y.Hash && slices.Equal(x.Roles, y.Roles)
}
