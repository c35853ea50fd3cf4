package dump

import (
	"encoding/base64"
	"strings"
	"time"

	"copse/statemachine/tree"
)

// depthLimit bounds how deep a file may be nested, and so the length of keys.
const depthLimit = 1 << 12

// list reads a flat list.
func (p *parser) list() { p.array(func() { p.node(nil) }) }

// entry reads a field of a nested map: a text, or the contents of a directory.
func (p *parser) entry(dir, name string, depth int) {
	key := dir + "/" + name
	if name == "" || strings.Contains(name, "/") || tree.Clean(key) != key {
		p.fail("%q can't be the name of a node", name)
	}
	c, _ := p.peek()
	at := p.at
	switch c {
	case '"':
		p.add(tree.Node{Key: key, Value: p.value()}, at)
	case '{':
		if depth > depthLimit {
			p.fail("too many directories in each other")
		}
		p.add(tree.Node{Key: key, Dir: true}, at)
		p.object(func(name string) { p.entry(key, name, depth+1) })
	default:
		p.fail("the value of %q is neither a text nor an object", key)
	}
}

// answer records which fields of an answer have been read.
type answer struct{ action, node bool }

// answer reads a field of an answer.
func (p *parser) answer(name string, a *answer) {
	switch {
	case name == "action" && !a.action:
		a.action = true
		if action := p.text(); action != "get" {
			p.fail("an answer to a request that isn't a GET: %q", action)
		}
	case name == "node" && !a.node:
		a.node = true
		p.node(&above{})
	default:
		p.fail("an answer of etcd has no %q here", name)
	}
}

// above is the directory that a node of an answer is in.
type above struct {
	key   string // empty: this one is the answer's own node
	depth int
}

// names are the fields of a node, of a list or an answer.
var names = []string{"key", "value", "dir", "expiration", "ttl", "modifiedIndex", "createdIndex", "nodes", "value64"}

// node reads a node of an answer, with everything below it, or one of a list, where up is nil.
func (p *parser) node(up *above) {
	var n tree.Node
	var seen [9]bool
	has := func(name string) bool { return seen[slot(name)] }
	p.peek()
	at, ttl := p.at, int64(0)
	p.object(func(name string) {
		i := slot(name)
		if i < 0 || seen[i] {
			p.fail("a node has no field %q here", name)
			return
		}
		seen[i] = true
		switch name {
		case "key":
			n.Key = p.text()
		case "value":
			if seen[i] = !p.null(); seen[i] {
				n.Value = p.value()
			}
		case "value64": // as copse shows it, if it is asked for
			text := p.text()
			value, err := base64.StdEncoding.DecodeString(text)
			if err != nil || has("value") {
				p.fail("value64 isn't base64, or stands beside a value: %.100q", text)
				return
			}
			n.Value, seen[slot("value")] = value, true
		case "dir":
			n.Dir = p.boolean()
		case "expiration":
			n.Expires = p.time()
		case "ttl":
			ttl = p.number()
		case "modifiedIndex":
			n.Modified = tree.Index(p.number())
		case "createdIndex":
			n.Created = tree.Index(p.number())
		case "nodes":
			p.nodes(&n, up)
		}
	})
	if p.failure != nil {
		return
	}
	if ttl != 0 && n.Expires == 0 {
		p.timed(&n, ttl)
	}
	if up == nil {
		p.listed(&n, at, has)
	} else {
		p.answered(&n, at, has, up)
	}
}

// value reads a value, and notes what may have been other bytes.
func (p *parser) value() []byte {
	text := p.text()
	if strings.Contains(text, replaced) {
		p.result.Binary.Values++
	}
	return []byte(text)
}

func slot(name string) int {
	for i, known := range names {
		if name == known {
			return i
		}
	}
	return -1
}

// listed adds a node of a list: one without a value is an empty directory.
func (p *parser) listed(n *tree.Node, at int64, has func(string) bool) {
	switch {
	case !has("key"):
		p.fail("a node without a key")
	case has("nodes"):
		p.fail("a node of a list has no nodes")
	case has("dir") && n.Dir == has("value"):
		p.fail("the node %q is both a directory and a value, or neither", n.Key)
	}
	n.Dir = !has("value")
	p.add(*n, at)
}

// answered adds a node of an answer. The nodes below it have been added already.
func (p *parser) answered(n *tree.Node, at int64, has func(string) bool, up *above) {
	root := up.key == "" && strings.Trim(n.Key, "/") == ""
	if up.key == "" {
		p.result.Root = tree.Clean(n.Key)
	}
	switch {
	case n.Dir == has("value"):
		p.fail("the node %q is both a directory and a value, or neither", n.Key)
	case root:
	case tree.Clean(n.Key) != n.Key:
		p.fail("%q is no key", n.Key)
	case up.key != "" && tree.Parent(n.Key) != up.key:
		p.fail("the node %q isn't one of %q", n.Key, up.key)
	case n.Created == 0 || n.Modified < n.Created || n.Modified > indexLimit:
		p.fail("the node %q was created at %d and modified at %d", n.Key, n.Created, n.Modified)
	case p.result.Index != 0 && n.Modified > p.result.Index:
		p.fail("the node %q was modified at %d, in a tree at %d", n.Key, n.Modified, p.result.Index)
	}
	p.add(*n, at)
}

// nodes reads the nodes in the directory n.
func (p *parser) nodes(n *tree.Node, up *above) {
	if up == nil {
		p.fail("a node of a list has no nodes")
		return
	}
	below := &above{key: tree.Clean(n.Key), depth: up.depth + 1} // without a key, it is the root
	if below.depth > depthLimit {
		p.fail("too many directories in each other")
	}
	if !n.Dir {
		p.fail("nodes of %q, which isn't said to be a directory before", below.key)
	}
	p.array(func() { p.node(below) })
}

// null takes a null, if it is next.
func (p *parser) null() bool {
	if c, _ := p.peek(); c != 'n' {
		return false
	}
	if p.word() != "null" {
		p.fail("neither a text nor null where one should be")
	}
	return true
}

// time reads a point in time, as Unix nanoseconds.
func (p *parser) time() int64 {
	text := p.text()
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Unix() <= 0 || t.Year() > 2200 {
		p.fail("%q is no time", text)
	}
	return t.UnixNano()
}

// timed gives a node a time to live that counts from now.
func (p *parser) timed(n *tree.Node, ttl int64) {
	const most = 200 * 365 * 24 * 3600
	if ttl < 0 || ttl > most {
		p.fail("a time to live of %d seconds, without an expiration", ttl)
		return
	}
	n.Expires = p.now + ttl*int64(time.Second)
	p.result.Timed++
}
