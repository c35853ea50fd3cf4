package etcdimport

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"copse/actors/importer"
	"copse/statemachine/etcddir"
	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// compareHTTP imports from the running etcd, and compares the result with what its directory
// has: all nodes, as the hidden ones are named or have changed lately, and the events, except for
// refreshes, of which a watch doesn't tell.
func (w *writer) compareHTTP(ours state) {
	w.t.Helper()
	var hidden []string
	for key := range ours.nodes {
		if tree.HiddenBelow("/", key) {
			hidden = append(hidden, key)
		}
	}
	got, events, index := byHTTP(w.t, w.url, hidden)
	compare(w.t, "HTTP", state{nodes: ours.nodes}, got) // the index has grown with the start
	r, err := etcddir.Read([]etcddir.Source{{Name: w.dir, Dir: os.DirFS(w.dir)}}, etcddir.Options{})
	check(w.t, err)
	if r.Index != index {
		w.t.Errorf("HTTP: index %d, the directory has %d", index, r.Index)
	}
	want := map[string]bool{}
	for i := range r.Window.Events {
		if e := &r.Window.Events[i]; !e.Refresh {
			want[describeEvent(e)] = true
		}
	}
	if len(want) == 0 || !maps.Equal(want, events) {
		w.t.Errorf("HTTP: events %q, want %q", slices.Sorted(maps.Keys(events)), slices.Sorted(maps.Keys(want)))
	}
}

func describeEvent(e *tree.Event) string {
	text := fmt.Sprintf("%d %s %s %s", e.Index(), e.Action, e.Node.Key, describeNode(&e.Node))
	if e.HasPrev {
		text += " after " + describeNode(&e.Prev)
	}
	return text
}

func byHTTP(t *testing.T, from string, hidden []string) (s state, events map[string]bool, index tree.Index) {
	t.Helper()
	u, err := url.Parse(from)
	check(t, err)
	soon := time.Now().Add(time.Hour).UnixNano()
	s, events = state{nodes: map[string]string{}}, map[string]bool{}
	o := importer.Options{Import: importer.Import{From: []url.URL{*u}, Hidden: hidden}, Beside: t.TempDir() + "/x", Hash: func(string) (string, error) { return "", nil }}
	o.Use = func(file io.Reader) error {
		r, err := portable.NewReader(file)
		check(t, err)
		index = r.Header().Index
		for {
			it, err := r.Next()
			switch {
			case err == io.EOF:
				return nil
			case err != nil:
				return err
			case it.Event != nil:
				events[describeEvent(it.Event)] = true
			case it.Node != nil && (it.Node.Expires == 0 || it.Node.Expires >= soon):
				s.nodes[it.Node.Key] = describeNode(it.Node)
			}
		}
	}
	check(t, importer.Run(t.Context(), nil, o, io.Discard, io.Discard))
	return s, events, index
}
