package httpfront_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestKeysAreReachedWithAGrantOnly reads the package: whatever calls the Backend's methods
// for keys has a grant as a parameter, and only permit makes one.
func TestKeysAreReachedWithAGrantOnly(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			granted := slices.ContainsFunc(f.Type.Params.List, func(p *ast.Field) bool { return isGrant(p.Type) })
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if of, ok := n.X.(*ast.SelectorExpr); ok && of.Sel.Name == "backend" && slices.Contains([]string{"Do", "Submit", "Get", "GetCached", "Confirm", "Watch"}, n.Sel.Name) {
						calls[n.Sel.Name] = true
						if !granted {
							t.Errorf("%s calls backend.%s without a grant", f.Name.Name, n.Sel.Name)
						}
					}
				case *ast.CompositeLit:
					if isGrant(n.Type) && f.Name.Name != "permit" {
						t.Errorf("%s makes a grant of its own", f.Name.Name)
					}
				}
				return true
			})
		}
	}
	if len(calls) != 6 {
		t.Errorf("the Backend is called in another way than this test knows: %v", calls)
	}
}

func isGrant(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && name.Name == "grant"
}
