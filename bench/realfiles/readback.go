package main

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"sort"
	"strings"

	"copse/bench/v2api"
)

// reader reads the tree back and compares.
type reader struct {
	client *client
	differ func(format string, args ...any)
	listed map[string][]loaded // visible files by their printed key
	nodes  int                 // listed by the server
}

// single compares the answer to a GET of one key.
func (r *reader) single(f *loaded) error {
	ev, err := r.client.do(http.MethodGet, f.key, "", nil, http.StatusOK)
	if err != nil {
		r.differ("%v", err)
		return nil
	}
	if ev.Node.Key != string(printed([]byte(f.key))) {
		r.differ("GET %q answers with the key %q", f.key, ev.Node.Key)
	}
	r.compare("GET", &ev.Node, f)
	return nil
}

func (r *reader) compare(how string, n *v2api.Node, f *loaded) {
	switch {
	case n.Dir:
		r.differ("%s: %q is a directory", how, f.key)
	case sumOf([]byte(n.Value)) != f.value:
		r.differ("%s: the value of %q is not that of %s (%d bytes)", how, f.key, f.path, len(n.Value))
	case n.Modified != f.index || n.Created != f.created:
		r.differ("%s: %q is of %d, created at %d, and was written at %d, created at %d", how, f.key, n.Modified, n.Created, f.index, f.created)
	}
}

// tree reads everything below top: its listing first, then each directory in it
// completely, so that no answer needs to contain everything.
func (r *reader) tree(top string) error {
	ev, err := r.client.do(http.MethodGet, top, "sorted=true", nil, http.StatusOK)
	if err != nil {
		return err
	}
	r.sorted(&ev.Node)
	for i := range ev.Node.Nodes {
		child := &ev.Node.Nodes[i]
		if !child.Dir {
			r.visit(child)
			continue
		}
		if len(child.Nodes) > 0 {
			r.differ("GET %q lists below %q without recursive=true", top, child.Key)
		}
		whole, err := r.client.do(http.MethodGet, child.Key, "recursive=true&sorted=true", nil, http.StatusOK)
		if err != nil {
			return err
		}
		r.visit(&whole.Node)
	}
	return nil
}

// visit ticks off every file that is listed in n.
func (r *reader) visit(n *v2api.Node) {
	if hidden(n.Key) {
		r.differ("%q is listed, and is hidden", n.Key)
		return
	}
	r.nodes++
	if n.Dir {
		r.sorted(n)
		for i := range n.Nodes {
			r.visit(&n.Nodes[i])
		}
		return
	}
	same := r.listed[n.Key]
	for i := range same {
		// Names that are not valid UTF-8 may print alike; the index distinguishes them.
		if same[i].index == n.Modified || len(same) == 1 {
			r.compare("recursive GET", n, &same[i])
			r.listed[n.Key] = append(same[:i:i], same[i+1:]...)
			return
		}
	}
	r.differ("%q is listed once too often", n.Key)
}

func (r *reader) sorted(n *v2api.Node) {
	if !sort.SliceIsSorted(n.Nodes, func(i, j int) bool { return n.Nodes[i].Key < n.Nodes[j].Key }) {
		r.differ("the listing of %q is not sorted", n.Key)
	}
	for i := range n.Nodes {
		if strings.TrimSuffix(path.Dir(n.Nodes[i].Key), "/") != n.Key {
			r.differ("%q is listed in %q", n.Nodes[i].Key, n.Key)
		}
	}
}

// left complains about what no listing held.
func (r *reader) left() {
	for key, files := range r.listed {
		for range files {
			r.differ("%q is in no listing", key)
		}
	}
}

// readBack reads the tree in both ways.
func readBack(c *client, files []loaded, tops []string, writers int, differ func(string, ...any)) (nodes int, err error) {
	r := &reader{client: c, differ: differ, listed: map[string][]loaded{}}
	for _, f := range files {
		if !f.hidden {
			key := string(printed([]byte(f.key)))
			r.listed[key] = append(r.listed[key], f)
		}
	}
	for _, top := range tops {
		if err := r.tree(top); err != nil {
			return r.nodes, fmt.Errorf("read %s: %w", url.PathEscape(top), err)
		}
	}
	r.left()
	return r.nodes, each(len(files), writers, func(i int) error { return r.single(&files[i]) })
}
