package httpfront

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"copse/statemachine/tree"
)

// What the code knows has to be in the reference for people, and in the one for programs.
func TestTheReferenceIsWhole(t *testing.T) {
	page, err := os.ReadFile("../docs/API.md")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Paths      map[string]map[string]any
		Components struct {
			Schemas struct {
				KeyError struct {
					Properties struct {
						ErrorCode struct{ Enum []tree.Code } `yaml:"errorCode"`
					}
				} `yaml:"keyError"`
			}
		}
	}
	if err := yaml.Unmarshal(openAPI, &file); err != nil {
		t.Fatal(err)
	}
	codes := file.Components.Schemas.KeyError.Properties.ErrorCode.Enum
	described := map[string]bool{}
	for path, methods := range everyPath() {
		described[path] = true
		inPage := strings.NewReplacer("{id}", "ID", "{name}", "NAME", "{key}", "…").Replace(path)
		if !strings.Contains(string(page), "`"+inPage+"`") {
			t.Errorf("docs/API.md lacks %s", inPage)
		}
		for name, m := range map[string]method{"get": methodGet, "head": methodHead, "put": methodPut, "post": methodPost, "delete": methodDelete} {
			if _, has := file.Paths[path][name]; has != (methods&m != 0) {
				t.Errorf("openapi.yaml has %s %s: %v", name, path, has)
			}
		}
	}
	for path := range file.Paths {
		if !described[path] {
			t.Errorf("openapi.yaml has %s, which is no route", path)
		}
	}
	for code := range tree.Code(1000) { // those from there on no client sees
		if known := code.Message() != ""; slices.Contains(codes, code) != known {
			t.Errorf("openapi.yaml has the errorCode %d: %v", code, !known)
		} else if row := fmt.Sprintf("\n| %d | %d | %s |", code, status(code), code.Message()); known && !strings.Contains(string(page), row) {
			t.Errorf("docs/API.md lacks %q", row)
		}
	}
	for _, name := range append([]string{string(headerClusterID), string(headerEtcdIndex), string(headerRaftIndex), string(headerRaftTerm)}, paramNames[:]...) {
		if !strings.Contains(string(page), "`"+name+"`") || !regexp.MustCompile(`\b`+name+`[:,]`).Match(openAPI) {
			t.Errorf("docs/API.md or openapi.yaml lacks %s", name)
		}
	}
}

// everyPath is the table of routes, and the paths of keys, as OpenAPI writes them.
func everyPath() map[string]method {
	paths := map[string]method{
		"/v2/keys": allowKeys.set, "/v2/keys/{key}": allowKeys.set,
		"/v2/members": methodGet | methodPost, "/v2/members/leader": methodGet, "/v2/members/{id}": methodPut | methodDelete,
		"/": methodGet,
	}
	for _, r := range routes {
		switch _, fixed := paths[r.path]; {
		case r.below == oneName:
			paths[r.path+"/{name}"] = r.methods.set
		case fixed, r.below == anything: // those of members are above; the others are refused
		default:
			paths[r.path] = r.methods.set
		}
	}
	return paths
}
