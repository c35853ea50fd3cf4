package dump

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"copse/statemachine/tree"
)

// Format is one of the forms.
type Format string

// The forms.
const (
	Any    Format = ""     // to be told by how the file begins
	List   Format = "list" // flat
	Map    Format = "map"  // nested
	Answer Format = "v2"   // of etcd
)

// Options say how to read a file.
type Options struct {
	Format Format
	Now    int64 // Unix nanoseconds: from when a ttl counts that comes without an expiration
}

// Result is the contents of a file.
type Result struct {
	Format Format
	// From the headers in front of an answer; 0 without them.
	ClusterID, Term uint64
	Index           tree.Index
	Root            string     // the key that an answer is of
	Largest         tree.Index // of all nodes

	Added   int // directories that the file doesn't name, though it has keys below
	Timed   int // nodes that have a ttl, but no expiration
	Binary  Binary
	Empty   int  // directories without visible nodes
	Shallow bool // only one level is there: perhaps it was saved without recursive=true

	nodes []placed // depth first
}

// Indexed reports whether the nodes have the indexes that they had in etcd. Others are
// numbered in the order of the file.
func (r *Result) Indexed() bool { return r.Format == Answer }

// indexLimit is above all indexes that there can be.
const indexLimit = 1 << 62

// replaced is printed by etcd in the place of bytes that aren't UTF-8.
const replaced = "\uFFFD"

// Binary counts values and keys with U+FFFD, which stands for bytes that JSON can't carry.
type Binary struct{ Values, Keys int }

// placed is a node, and the byte of the file at which it stands.
type placed struct {
	tree.Node
	at int64
}

// Read reads a file. Errors that are an *Error say where it isn't in its form.
func Read(from io.Reader, o Options) (*Result, error) {
	p := &parser{lexer: lexer{in: bufio.NewReaderSize(from, 64<<10), line: 1}, now: o.Now, result: &Result{Format: o.Format}}
	p.headers()
	p.file()
	if p.end(); p.failure != nil {
		return nil, p.failure
	}
	return p.result, p.result.order()
}

// Join adds the nodes of another answer from about the same time: those below a hidden node,
// which has to be asked for by itself.
func (r *Result) Join(other *Result) error {
	r.nodes = append(r.nodes, other.nodes...)
	r.Largest = max(r.Largest, other.Largest)
	r.Binary.Values, r.Binary.Keys = r.Binary.Values+other.Binary.Values, r.Binary.Keys+other.Binary.Keys
	return r.order()
}

// parser reads a file into a result.
type parser struct {
	lexer
	now    int64
	result *Result
}

// headers reads the headers in front of an answer, if there are any.
func (p *parser) headers() {
	if c, ok := p.peek(); !ok || c != 'H' {
		return
	}
	status := p.header()
	if fields := strings.Fields(status); len(fields) < 2 || !strings.HasPrefix(status, "HTTP/") || fields[1] != "200" {
		p.fail("%q is not the beginning of an answer with status 200", status)
	}
	if p.result.Format == Any {
		p.result.Format = Answer
	}
	for line := p.header(); line != "" && p.failure == nil; line = p.header() {
		name, value, _ := strings.Cut(line, ":")
		var err error
		switch value = strings.TrimSpace(value); textproto.CanonicalMIMEHeaderKey(name) {
		case "X-Etcd-Cluster-Id":
			p.result.ClusterID, err = strconv.ParseUint(value, 16, 64)
		case "X-Raft-Term":
			p.result.Term, err = strconv.ParseUint(value, 10, 64)
		case "X-Etcd-Index":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 64)
			p.result.Index = tree.Index(n)
		}
		if err != nil || max(p.result.Index, tree.Index(p.result.Term)) > indexLimit {
			p.fail("the header %q isn't etcd's", line)
		}
	}
}

// header reads a line of the headers.
func (p *parser) header() string {
	if p.failure != nil {
		return ""
	}
	p.at = p.next
	line, err := p.in.ReadSlice('\n')
	p.next += int64(len(line))
	if err != nil {
		p.failed(io.EOF) // or too long
		return ""
	}
	p.line++
	return strings.TrimRight(string(line), "\r\n")
}

// file reads everything after the headers.
func (p *parser) file() {
	begin, _ := p.peek()
	switch f := p.result.Format; {
	case f == List || f == Any && begin == '[':
		p.result.Format = List
		p.list()
	case f == Any && begin != '{':
		p.fail("the file begins neither with [ nor with {")
	default:
		p.fields()
	}
}

// fields reads an object: a map, or an answer, which begins with its action.
func (p *parser) fields() {
	first := true
	var a answer
	p.object(func(name string) {
		if first && p.result.Format == Any {
			p.result.Format = Map
			if c, _ := p.peek(); name == "action" && c == '"' {
				p.result.Format = Answer
			}
		}
		if first = false; p.result.Format == Answer {
			p.answer(name, &a)
		} else {
			p.entry("", name, 1)
		}
	})
	switch {
	case p.result.Format == Any:
		p.result.Format = Map // an empty one
	case p.result.Format == Answer && !(a.action && a.node):
		p.fail("no answer of etcd, which has an action and a node; --format=map reads a nested map")
	}
}

// add adds a node that stands at a byte of the file, unless it is the root.
func (p *parser) add(n tree.Node, at int64) {
	if p.failure != nil {
		return
	}
	n.Key = tree.Clean(n.Key)
	switch {
	case n.Key != "/":
		if !p.result.Indexed() {
			n.Created = tree.Index(len(p.result.nodes) + 1)
			n.Modified = n.Created
		}
		p.result.Largest = max(p.result.Largest, n.Created, n.Modified)
		if strings.Contains(n.Key, replaced) {
			p.result.Binary.Keys++
		}
		p.result.nodes = append(p.result.nodes, placed{n, at})
	case !n.Dir:
		p.fail("a value for /, which is a directory")
	}
}

// order puts the nodes in order, and checks that they are a tree.
func (r *Result) order() error {
	slices.SortStableFunc(r.nodes, func(a, b placed) int { return tree.CompareKeys(a.Key, b.Key) })
	for i := range r.nodes[min(1, len(r.nodes)):] {
		switch last, n := &r.nodes[i], &r.nodes[i+1]; {
		case last.Key == n.Key:
			what := fmt.Sprintf("the key %q is there twice, at byte %d too", n.Key, last.at)
			if strings.Contains(n.Key, replaced) {
				what += "; U+FFFD stands for bytes that aren't UTF-8, so they may be two keys, which JSON can't tell apart"
			}
			return &Error{Offset: n.at, What: what}
		case !last.Dir && tree.Within(last.Key, n.Key):
			return &Error{Offset: n.at, What: fmt.Sprintf("the key %q is below %q, which has a value at byte %d", n.Key, last.Key, last.at)}
		}
	}
	r.count()
	return nil
}

func (r *Result) count() {
	r.Empty = 0
	last, depth := tree.Node{}, 0
	for n := range r.Nodes() {
		if last.Dir && !tree.Within(last.Key, n.Key) {
			r.Empty++
		}
		last, depth = n, max(depth, strings.Count(n.Key, "/"))
	}
	if last.Dir {
		r.Empty++
	}
	r.Shallow = r.Empty > 0 && depth == 1
}

// Nodes yields the nodes depth first, with the directories above them. A directory that the
// file doesn't name has the index of the first node below.
func (r *Result) Nodes() iter.Seq[tree.Node] {
	return func(yield func(tree.Node) bool) {
		r.Added = 0
		above := "/" // the directory of the node before, or itself if it is one
		for i := range r.nodes {
			n := &r.nodes[i]
			for above != "/" && !tree.Within(above, n.Key) {
				above = tree.Parent(above)
			}
			for next := within(above, n.Key); next != n.Key; next = within(above, n.Key) {
				r.Added++
				if !yield(tree.Node{Key: next, Dir: true, Created: n.Created, Modified: n.Created}) {
					return
				}
				above = next
			}
			if !yield(n.Node) {
				return
			}
			if above = tree.Parent(n.Key); n.Dir {
				above = n.Key
			}
		}
	}
}

// within returns the key on the way from dir down to key that is one level below dir.
func within(dir, key string) string {
	from := len(strings.TrimSuffix(dir, "/")) + 1
	if i := strings.IndexByte(key[from:], '/'); i >= 0 {
		return key[:from+i]
	}
	return key
}
