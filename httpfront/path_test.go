package httpfront

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestTargetsAreCutAndDecoded(t *testing.T) {
	for name, c := range map[string]struct {
		target, path, query string
		bad                 bool
	}{
		"plain":                       {target: "/v2/keys/a", path: "/v2/keys/a"},
		"with a query":                {target: "/v2/keys/a?x=1&y", path: "/v2/keys/a", query: "x=1&y"},
		"only the first ? cuts":       {target: "/a?b?c", path: "/a", query: "b?c"},
		"an encoded slash is a slash": {target: "/a%2fb%2Fc", path: "/a/b/c"},
		"an encoded ? is a name's":    {target: "/a%3Fb", path: "/a?b"},
		"plus stays plus":             {target: "/a+b%2B", path: "/a+b+"},
		"any byte":                    {target: "/%00%0a%ff%25", path: "/\x00\n\xff%"},
		"raw bytes too":               {target: "/\xc3\xa9\xff", path: "/\xc3\xa9\xff"},
		"a fragment is a name's":      {target: "/a#b?c", path: "/a#b", query: "c"},
		"absolute":                    {target: "http://h:1/v2/keys?x", path: "/v2/keys", query: "x"},
		"absolute without a path":     {target: "http://h:1?x/y", query: "x/y"},
		"no hex digits":               {target: "/%zz", bad: true},
		"cut off":                     {target: "/a%2", bad: true},
		"a % alone":                   {target: "/%", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			raw, query := splitTarget([]byte(c.target))
			got, ok := decodePath(raw)
			if ok == c.bad {
				t.Fatalf("decodes: got %v want %v", ok, !c.bad)
			}
			if ok && (string(got) != c.path || string(query) != c.query) {
				t.Errorf("got %q, %q want %q, %q", got, query, c.path, c.query)
			}
		})
	}
}

func TestUncleanPathsLeadToCleanOnes(t *testing.T) {
	for unclean, clean := range map[string]string{
		"":                     "/",
		"//":                   "/",
		"/a//b":                "/a/b",
		"/a/./b":               "/a/b",
		"/a/.":                 "/a",
		"/a/b/..":              "/a",
		"/a/b/../":             "/a/",
		"/v2/keys/../../../x/": "/x/",
		"/..":                  "/",
		"/a/../b//":            "/b/",
	} {
		if isClean([]byte(unclean)) {
			t.Errorf("isClean(%q): got true want false", unclean)
		}
		if got := cleanPath(unclean); got != clean {
			t.Errorf("cleanPath(%q): got %q want %q", unclean, got, clean)
		}
	}
	for _, p := range []string{"/", "/a", "/a/", "/a/b", "/...", "/..a/.b/c..", "/a./b"} {
		if !isClean([]byte(p)) {
			t.Errorf("isClean(%q): got false want true", p)
		}
	}
}

// FuzzPath holds the reading of request targets against Go's.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/v2/keys/a?x=1", "/a%2Fb", "/%zz", "/a/../b//", "/%2e%2e/%2E/", "//h/p", "/a#b", "http://h:1/a?b", "/é\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		raw, query := splitTarget([]byte(target))
		decoded, ok := decodePath(raw)
		if !ok {
			if _, err := url.PathUnescape(string(raw)); err == nil {
				t.Fatalf("%q is refused, and Go decodes it", raw)
			}
			return
		}
		if strings.HasPrefix(target, "/") {
			if u, err := url.ParseRequestURI(target); err == nil {
				if string(decoded) != u.Path || string(query) != u.RawQuery {
					t.Fatalf("%q: got %q, %q want %q, %q", target, decoded, query, u.Path, u.RawQuery)
				}
			}
		}
		p := string(decoded)
		clean := cleanPath(p)
		if want := path.Clean("/" + p); strings.TrimSuffix(clean, "/") != strings.TrimSuffix(want, "/") {
			t.Fatalf("cleanPath(%q): got %q want %q", p, clean, want)
		}
		if !isClean([]byte(clean)) {
			t.Fatalf("isClean(cleanPath(%q) = %q): got false", p, clean)
		}
		if isClean(decoded) != (clean == p) {
			t.Fatalf("isClean(%q): got %v, but it cleans to %q", p, isClean(decoded), clean)
		}
	})
}
