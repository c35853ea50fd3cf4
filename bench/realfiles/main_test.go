package main

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/bench/peer"
)

var (
	server = flag.String("server", string(peer.Copse), "what to load: copse, etcd35 or etcd34")
	limit  = flag.Int("files", 2000, "how many of this machine's files to load")
)

func defaults(endpoint string) options {
	return options{
		endpoint:  endpoint,
		to:        "/files",
		limit:     *limit,
		sizeLimit: 256 << 10,
		writers:   16,
		disturb:   10,
		etcd:      peer.Kind(*server) != peer.Copse,
	}
}

// Files of this machine, and a directory of names and values that are hard.
func TestLoadsRealFiles(t *testing.T) {
	peer.EachShards(t, peer.Kind(*server), loadRealFiles)
}

func loadRealFiles(t *testing.T, shards int) {
	node := peer.Start(t, peer.Kind(*server), peer.Sharded(peer.Kind(*server), shards)...)
	o := defaults(node.URL)
	if shards > 1 {
		o.to = "/"
	}
	o.from = []string{hardFiles(t), "/usr/share", "/etc"}
	var out bytes.Buffer
	differences, err := run(o, &out)
	t.Logf("%s", out.String())
	if err != nil || differences > 0 {
		t.Fatalf("got %d differences and error %v, want neither", differences, err)
	}
}

// hardFiles makes what /etc may not have.
func hardFiles(t *testing.T) string {
	dir := t.TempDir()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, value := range map[string]string{
		"empty":                           "",
		"all bytes":                       string(all),
		"cut\u2028 <&> \"é":               "\u2028\u2029<script>&\x7f\x00",
		"100%25+plus;semi?q#f&a=b":        "a+b%20c;d=e&value=f",
		"new\nline\ttab":                  "\r\n",
		"not \xff UTF-8":                  "x\xc3",
		"not \xfe UTF-8":                  "y\xed\xa0\x80",
		"_hidden":                         "h",
		"_hiding/child":                   "c",
		"sub/one":                         "1",
		"sub/two":                         "2",
		"sub/_hidden":                     "s",
		"not_hidden/inner_":               "n",
		"...":                             "dots",
		"..two":                           "dots",
		"back\\slash":                     "b",
		"long" + strings.Repeat("n", 240): "l",
		"deep/a/b/c/d/e/f/g/h/i/j/k":      strings.Repeat("0123456789", 25_000),
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The comparison must be able to fail: a proxy between the tool and the server
// changes one answer.
func TestFindsDifferences(t *testing.T) {
	node := peer.Start(t, peer.Kind(*server))
	for _, test := range []struct {
		name       string
		wrong      func(*http.Request) bool
		old, forge string
	}{
		{"value in a single read", single, `"value":"`, `"value":"x`},
		{"value in a listing", recursive, `"value":"`, `"value":"x`},
		{"key gone from a listing", recursive, `,{"key"`, `],"gone":[{"key"`},
		{"index in a listing", recursive, `"modifiedIndex":`, `"modifiedIndex":1`},
		{"event with another value", watching, `"value":"`, `"value":"x`},
		{"event of another key", watching, `"key":"`, `"key":"/x`},
		{"event with another index", watching, `"modifiedIndex":`, `"modifiedIndex":1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy := forger(t, node.URL, test.wrong, test.old, test.forge)
			o := defaults(proxy)
			o.to = "/" + strings.ReplaceAll(test.name, " ", "-")
			o.from = []string{hardFiles(t)}
			var out bytes.Buffer
			differences, err := run(o, &out)
			if err == nil && differences == 0 {
				t.Fatalf("got no difference and no error:\n%s", out.String())
			}
		})
	}
}

func single(r *http.Request) bool    { return r.Method == http.MethodGet && r.URL.RawQuery == "" }
func recursive(r *http.Request) bool { return strings.HasPrefix(r.URL.RawQuery, "recursive=true") }
func watching(r *http.Request) bool {
	return strings.HasPrefix(r.URL.RawQuery, "wait=true") && !strings.Contains(r.URL.RawQuery, "stream=true")
}

// forger is a proxy that changes text in the first answer that has it.
func forger(t *testing.T, target string, wrong func(*http.Request) bool, old, forge string) string {
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	forged := make(chan bool, 1)
	forged <- false
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	proxy.ModifyResponse = func(resp *http.Response) error {
		if !wrong(resp.Request) {
			return nil
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		done := <-forged
		if !done && bytes.Contains(body, []byte(old)) {
			body = bytes.Replace(body, []byte(old), []byte(forge), 1)
			done = true
		}
		forged <- done
		resp.Body = io.NopCloser(bytes.NewReader(body))
		resp.ContentLength = int64(len(body))
		resp.Header.Del("Content-Length")
		return nil
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	s := httptest.NewServer(proxy)
	t.Cleanup(func() {
		s.Close()
		if !<-forged {
			t.Error("nothing was forged")
		}
	})
	return s.URL
}
