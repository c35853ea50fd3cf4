package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed lists the packages of ours, and the libraries of the table below, that each
// folder may import. Arrows never turn back: docs/ARCHITECTURE.md draws them.
var allowed = map[string][]string{
	".": {"copse/actors", "copse/actors/cluster", "copse/actors/loop", "copse/config", "copse/config/build", "copse/config/certs", "copse/config/command", "copse/config/dispatch", "copse/config/limits", "copse/config/logging",
		"copse/httpfront", "copse/httpfront/listen", "copse/httpfront/ops", "copse/httpfront/ui", "copse/statemachine/inflight", "copse/statemachine/metric", "copse/statemachine/tree"},
	"actors":          {"copse/actors/cluster", "copse/actors/datadir", "copse/actors/disk", "copse/actors/loop", "copse/actors/mirror", "copse/actors/order", "copse/actors/peerlink", "copse/actors/raft", "copse/actors/raftlog", "copse/actors/shard", "copse/actors/source", "copse/actors/watch", "copse/config/logging", "copse/statemachine", "copse/statemachine/auth", "copse/statemachine/inflight", "copse/statemachine/metric", "copse/statemachine/mirror", "copse/statemachine/portable", "copse/statemachine/recent", "copse/statemachine/tree", "copse/statemachine/txn", "github.com/cockroachdb/pebble"},
	"actors/cluster":  {"copse/actors/datadir", "copse/actors/loop", "copse/actors/peerlink", "copse/statemachine", "copse/statemachine/tree"},
	"actors/datadir":  {},
	"actors/disk":     {"copse/actors/loop", "copse/statemachine/metric"},
	"actors/loop":     {},
	"actors/importer": {"copse/actors/source", "copse/statemachine/auth", "copse/statemachine/dump", "copse/statemachine/etcddir", "copse/statemachine/portable", "copse/statemachine/tree"},
	"actors/mirror":   {"copse/actors/loop", "copse/actors/source", "copse/statemachine/metric", "copse/statemachine/mirror", "copse/statemachine/tree"},
	"actors/order":    {"copse/actors/loop", "copse/actors/shard", "copse/actors/watch", "copse/statemachine", "copse/statemachine/tree"},
	"actors/shard":    {"copse/actors/loop", "copse/statemachine", "copse/statemachine/auth", "copse/statemachine/inflight", "copse/statemachine/metric", "copse/statemachine/mirror", "copse/statemachine/tree", "copse/statemachine/txn"},
	"actors/source":   {"copse/statemachine/auth", "copse/statemachine/tree"},
	"actors/watch":    {"copse/actors/loop", "copse/statemachine/tree"},
	"actors/raft":     {"copse/actors/loop", "copse/actors/peerlink", "copse/actors/raftlog", "copse/config/logging", "copse/statemachine", "copse/statemachine/metric", "copse/statemachine/recent", "copse/statemachine/tree", "github.com/lni/dragonboat"},
	"actors/raftlog":  {"copse/statemachine/metric", "github.com/lni/dragonboat"},
	"actors/peerlink": {"copse/config/logging", "copse/statemachine/metric", "copse/statemachine/tree", "github.com/lni/dragonboat"},
	"config":          {"copse/config/certs", "copse/config/cli", "go.yaml.in/yaml"},
	"config/cli":      {"github.com/alecthomas/kong"},
	"config/build":    {"copse/statemachine/metric"},
	"config/certs":    {"copse/statemachine/metric"},
	"config/command":  {"copse/config", "copse/config/build"},
	// Joins, as main does for copse serve.
	"config/dispatch":  {"copse/actors", "copse/actors/importer", "copse/config", "copse/config/cli", "copse/config/command", "copse/httpfront/client", "copse/httpfront/client/commands", "copse/httpfront/login", "copse/statemachine/dump", "copse/statemachine/etcddir", "copse/statemachine/tree"},
	"config/limits":    {},
	"config/logging":   {},
	"httpfront":        {"copse/config/logging", "copse/httpfront/listen", "copse/httpfront/login", "copse/httpfront/ops", "copse/httpfront/ui", "copse/statemachine/auth", "copse/statemachine/inflight", "copse/statemachine/metric", "copse/statemachine/recent", "copse/statemachine/tree", "copse/statemachine/txn", "github.com/valyala/fasthttp", "github.com/goccy/go-json", "github.com/klauspost/compress"},
	"httpfront/client": {"copse/statemachine/portable", "copse/statemachine/tree"},
	// Carries out the command lines that config/cli has parsed.
	"httpfront/client/commands": {"copse/config/cli", "copse/httpfront/client", "copse/httpfront/client/v2"},
	"httpfront/client/v2":       {},
	"httpfront/listen":          {"copse/config/logging"},
	"httpfront/login":           {"copse/statemachine/auth", "copse/statemachine/metric", "golang.org/x/crypto"},
	"httpfront/ops":             {"copse/config/logging", "copse/httpfront/listen", "copse/statemachine/metric"},
	"httpfront/ui":              {"copse/deploy/prometheus"},
	"deploy/prometheus":         {},
	"statemachine":              {"copse/statemachine/auth", "copse/statemachine/metric", "copse/statemachine/mirror", "copse/statemachine/portable", "copse/statemachine/tree", "copse/statemachine/txn", "github.com/lni/dragonboat", "github.com/cockroachdb/pebble", "github.com/cespare/xxhash"},
	"statemachine/tree":         {},
	"statemachine/auth":         {"copse/statemachine/tree"},
	"statemachine/mirror":       {"copse/statemachine/tree"},
	"statemachine/txn":          {"copse/statemachine/tree"},
	"statemachine/portable":     {"copse/statemachine/auth", "copse/statemachine/tree"},
	"statemachine/dump":         {"copse/statemachine/tree"},
	// What an etcd left on disk, by the same rules.
	"statemachine/etcddir":             {"copse/statemachine/auth", "copse/statemachine/tree"},
	"statemachine/etcddir/etcddirtest": {},
	// Bytes on their way through the process, and a bound on their sum.
	"statemachine/inflight": {"copse/statemachine/metric"},
	// What has happened of late, for people.
	"statemachine/recent": {},
	// Numbers on their way to Prometheus; every package that counts imports it.
	"statemachine/metric":            {},
	"statemachine/metric/metrictest": {},
	"config/certs/tlstest":           {},
	// A test of every actor's start and stop.
	"actors/loop/looptest": {},
}

// libraries are those that the table above speaks of, with the files that alone may
// import them where there are such.
var libraries = map[string][]string{
	"copse":                         nil,
	"github.com/lni/dragonboat":     {"actors/raft/", "actors/peerlink/", "actors/raftlog/", "statemachine/machine.go", "statemachine/apply.go", "statemachine/snapshot.go", "statemachine/cut.go"},
	"github.com/cockroachdb/pebble": {"actors/member.go", "statemachine/"},
	"github.com/cespare/xxhash":     {"statemachine/hash.go"},
	"github.com/valyala/fasthttp":   nil,
	"github.com/goccy/go-json":      nil,
	"github.com/klauspost/compress": {"httpfront/gzip.go"},
	"go.yaml.in/yaml":               {"config/file.go"},
	"github.com/alecthomas/kong":    {"config/cli/"},
	"golang.org/x/crypto":           {"httpfront/login/login.go"},
}

// source is one file of the server that isn't a test.
type source struct {
	path  string // with slashes
	lines int
	file  *ast.File
	set   *token.FileSet
}

func (s *source) folder() string { return filepath.ToSlash(filepath.Dir(s.path)) }

// sources reads the server's module.
func sources(t *testing.T) (list []source) {
	t.Helper()
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
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(path), lines: bytes.Count(text, []byte("\n")), set: token.NewFileSet()}
		s.file, err = parser.ParseFile(s.set, path, text, parser.SkipObjectResolution)
		list = append(list, s)
		return err
	})
	if err != nil || len(list) < 20 {
		t.Fatalf("%d files read: %v", len(list), err)
	}
	return list
}

func TestImportsFollowTheArrows(t *testing.T) {
	folders := map[string]bool{}
	for _, s := range sources(t) {
		folders[s.folder()] = true
		may, known := allowed[s.folder()]
		if !known {
			t.Errorf("%s: the folder %s is not in the table", s.path, s.folder())
		}
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, s.path, imported, may)
		}
	}
	for folder := range allowed {
		if !folders[folder] {
			t.Errorf("the folder %s, which the table has, is gone", folder)
		}
	}
}

func checkImport(t *testing.T, path, imported string, may []string) {
	t.Helper()
	for library, files := range libraries {
		within := func(prefix string) bool { return strings.HasPrefix(imported+"/", prefix+"/") }
		if !within(library) {
			continue
		}
		if !slices.ContainsFunc(may, func(m string) bool { return imported == m || m == library && library != "copse" }) {
			t.Errorf("%s may not import %s", path, imported)
		}
		if files != nil && !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(path, f) }) {
			t.Errorf("%s imports %s, which only %v may", path, imported, files)
		}
	}
}

// topLevel is what may stand there, beside files whose names begin with a dot.
var topLevel = []string{
	"main.go", "main_test.go", "tidy_test.go", "testdata", "actors", "statemachine", "httpfront", "config", "bench", "docs", "deploy",
	"go.mod", "go.sum", "default.pgo", "Dockerfile", "Makefile", "README.md", "LICENSE", "bin",
}

const mainLimit = 150 // lines

func TestTheTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		built := name == "copse" || strings.HasSuffix(name, ".copse") || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof") // .gitignore has them
		if !strings.HasPrefix(name, ".") && !built && !slices.Contains(topLevel, name) {
			t.Errorf("%s stands at the top: a package owns what it does", name)
		}
	}
	for _, s := range sources(t) {
		if s.path == "main.go" && s.lines > mainLimit {
			t.Errorf("main.go has %d lines, of which %d are enough to join the parts", s.lines, mainLimit)
		}
	}
}

// The aims for sizes. What passes one is in testdata/sizes.list with its size, which may
// only shrink: go test -run Sizes -shrink . takes out and lowers what has become smaller.
const (
	fileAim     = 350 // lines
	functionAim = 60  // lines
	structAim   = 12  // fields; config.Config has one for each setting
	exportAim   = 40  // names of a package
	treeAim     = 60  // the words that all packages share
)

var shrink = flag.Bool("shrink", false, "lower the numbers of testdata/sizes.list to what there is")

const sizesFile = "testdata/sizes.list"

func TestSizes(t *testing.T) {
	now, listed := largeThings(sources(t)), readSizes(t)
	for _, what := range slices.Sorted(maps.Keys(now)) {
		switch most, ok := listed[what]; {
		case !ok:
			t.Errorf("%s: %d is too large; is there a second owner inside?", what, now[what])
		case now[what] > most:
			t.Errorf("%s has grown from %d to %d", what, most, now[what])
		}
	}
	var lower []string
	for what, most := range listed {
		if now[what] < most {
			lower = append(lower, fmt.Sprintf("%s: %d is now %d", what, most, now[what]))
		}
	}
	if len(lower) == 0 {
		return
	}
	if !*shrink {
		slices.Sort(lower)
		t.Errorf("%s can be lowered by go test -run Sizes -shrink . (0 is gone):\n%s", sizesFile, strings.Join(lower, "\n"))
		return
	}
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(listed)) {
		if size, ok := now[what]; ok {
			fmt.Fprintf(&text, "%d %s\n", min(size, listed[what]), what)
		}
	}
	if err := os.WriteFile(sizesFile, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readSizes(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(sizesFile)
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]int{}
	for line := range strings.Lines(string(text)) {
		size, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		if list[what], err = strconv.Atoi(size); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// largeThings are the sizes of what passes an aim.
func largeThings(files []source) map[string]int {
	large := map[string]int{}
	note := func(size, aim int, what string) {
		if size > aim {
			large[what] = size
		}
	}
	exported := map[string]int{}
	for _, s := range files {
		note(s.lines, fileAim, "file "+s.path)
		for _, d := range s.file.Decls {
			exported[s.folder()] += exports(d)
			switch d := d.(type) {
			case *ast.FuncDecl:
				lines := s.set.Position(d.End()).Line - s.set.Position(d.Pos()).Line + 1
				note(lines, functionAim, "func "+s.folder()+"."+receiver(d)+d.Name.Name)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok {
						if st, ok := spec.Type.(*ast.StructType); ok {
							note(st.Fields.NumFields(), structAim, "struct "+s.folder()+"."+spec.Name.Name)
						}
					}
				}
			}
		}
	}
	delete(large, "struct config.Config")
	for folder, n := range exported {
		aim := exportAim
		if folder == "statemachine/tree" {
			aim = treeAim
		}
		note(n, aim, "exports "+folder)
	}
	return large
}

// receiver is the type of a method with a dot, "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name + "."
		default:
			return "?."
		}
	}
}

// exports counts the names that a declaration adds to its package: types, functions,
// variables and constants, but neither methods nor fields.
func exports(d ast.Decl) (n int) {
	count := func(names ...*ast.Ident) {
		for _, name := range names {
			if name.IsExported() {
				n++
			}
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			count(d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				count(spec.Name)
			case *ast.ValueSpec:
				count(spec.Names...)
			}
		}
	}
	return n
}
