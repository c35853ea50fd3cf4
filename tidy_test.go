package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed says which of our packages, and which of the engines, each folder may
// import. Arrows never turn back: docs/ARCHITECTURE.md draws them.
var allowed = map[string][]string{
	".":                 {"copse/actors", "copse/actors/peerlink", "copse/config", "copse/config/certs", "copse/httpfront", "copse/httpfront/ops", "copse/statemachine", "copse/statemachine/metric", "copse/statemachine/tree"},
	"actors":            {"copse/actors/peerlink", "copse/actors/raftlog", "copse/statemachine", "copse/statemachine/metric", "copse/statemachine/tree", "github.com/lni/dragonboat", "github.com/cockroachdb/pebble"},
	"actors/raftlog":    {"copse/statemachine/metric", "github.com/lni/dragonboat"},
	"actors/peerlink":   {"copse/statemachine/metric", "copse/statemachine/tree", "github.com/lni/dragonboat"},
	"config":            {"go.yaml.in/yaml"},
	"config/certs":      {"copse/statemachine/metric"},
	"httpfront":         {"copse/httpfront/ops", "copse/statemachine/metric", "copse/statemachine/tree", "github.com/valyala/fasthttp", "github.com/goccy/go-json"},
	"statemachine":      {"copse/statemachine/metric", "copse/statemachine/tree", "github.com/lni/dragonboat", "github.com/cockroachdb/pebble"},
	"statemachine/tree": {},
	// Numbers on their way to Prometheus; whoever counts imports it.
	"statemachine/metric":            {},
	"statemachine/metric/metrictest": {},
	"httpfront/ops":                  {"copse/statemachine/metric"},
	"config/certs/tlstest":           {},
}

// watched are the imports that the table above speaks of.
var watched = []string{"copse/", "github.com/lni/dragonboat", "github.com/cockroachdb/pebble", "github.com/valyala/fasthttp", "github.com/goccy/go-json", "go.yaml.in/yaml"}

// onlyIn names the files that alone may import an engine.
var onlyIn = map[string][]string{
	"github.com/lni/dragonboat":     {"actors/host.go", "actors/replicas.go", "actors/enginelog.go", "actors/enginemetrics.go", "actors/peerlink/", "actors/raftlog/", "statemachine/machine.go", "statemachine/apply.go", "statemachine/snapshot.go"},
	"github.com/cockroachdb/pebble": {"actors/node.go", "statemachine/"},
	"go.yaml.in/yaml":               {"config/file.go"},
}

func TestImportsFollowTheArrows(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (path == "bench" || path == "bin" || path != "." && strings.HasPrefix(d.Name(), ".")) {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		folder := filepath.ToSlash(filepath.Dir(path))
		may, known := allowed[folder]
		if !known {
			t.Errorf("%s: the folder %s is not on the map", path, folder)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, filepath.ToSlash(path), imported, may)
		}
		return nil
	})
	if err != nil || seen < 20 {
		t.Fatalf("%d files read: %v", seen, err)
	}
}

func checkImport(t *testing.T, path, imported string, may []string) {
	t.Helper()
	within := func(prefix string) bool { return strings.HasPrefix(imported+"/", strings.TrimSuffix(prefix, "/")+"/") }
	if slices.ContainsFunc(watched, within) && !slices.ContainsFunc(may, func(m string) bool {
		return imported == m || !strings.HasPrefix(m, "copse/") && within(m)
	}) {
		t.Errorf("%s may not import %s", path, imported)
	}
	for engine, files := range onlyIn {
		if within(engine) && !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(path, f) }) {
			t.Errorf("%s imports %s, which only %v may", path, imported, files)
		}
	}
}
