package dump_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"copse/statemachine/dump"
	"copse/statemachine/tree"

	"pgregory.net/rapid"
)

const now = 1_800_000_000_000_000_000

func read(text string, format dump.Format) (*dump.Result, string, error) {
	r, err := dump.Read(iotest.OneByteReader(strings.NewReader(text)), dump.Options{Format: format, Now: now})
	if err != nil {
		return nil, "", err
	}
	return r, show(r), nil
}

// show prints the nodes, one a line: key, value, createdIndex, modifiedIndex, expiration.
func show(r *dump.Result) string {
	var b strings.Builder
	for n := range r.Nodes() {
		fmt.Fprintf(&b, "%s %q %d %d %d\n", n.Key, n.Value, n.Created, n.Modified, n.Expires)
		if n.Dir != (n.Value == nil) {
			b.WriteString("neither a directory nor a file\n")
		}
	}
	return b.String()
}

const answer = `{"action":"get","node":{"dir":true,"nodes":[
	{"key":"/b","value":"\u00fc\"\\","expiration":"2030-01-01T00:00:00.000000001Z","ttl":5,"modifiedIndex":9,"createdIndex":7},
	{"key":"/a","dir":true,"nodes":[{"key":"/a/x","dir":true,"modifiedIndex":4,"createdIndex":4},{"key":"/a/!","value":"","modifiedIndex":6,"createdIndex":5}],"modifiedIndex":4,"createdIndex":4}]}}
`

const answered = "/a \"\" 4 4 0\n/a/! \"\" 5 6 0\n/a/x \"\" 4 4 0\n/b \"ü\\\"\\\\\" 7 9 1893456000000000001\n"

func TestWhatIsInAFile(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		format dump.Format // found
		want   string
	}{
		"a list":            {`[{"key":"/a/b","value":"v"}, {"key":"c","value":"w","ttl":10},{"key":"/empty"}]` + "\n", dump.List, "/a \"\" 1 1 0\n/a/b \"v\" 1 1 0\n/c \"w\" 2 2 1800000010000000000\n/empty \"\" 3 3 0\n"},
		"a list's fields":   {`[{"value":null,"key":"/d","dir":true,"modifiedIndex":7,"createdIndex":7},{"key":"/"},{"key":"/x","value":"v","expiration":"2030-01-01T00:00:00Z","ttl":1}]`, dump.List, "/d \"\" 1 1 0\n/x \"v\" 2 2 1893456000000000000\n"},
		"a map":             {`{"z":{"y":"v","empty":{}}, "_h":{"x":{"y":"\ud83d\ude00"}}}`, dump.Map, "/_h \"\" 4 4 0\n/_h/x \"\" 5 5 0\n/_h/x/y \"😀\" 6 6 0\n/z \"\" 1 1 0\n/z/empty \"\" 3 3 0\n/z/y \"v\" 2 2 0\n"},
		"a map like answer": {`{"action":{"x":"get"},"node":{}}`, dump.Map, "/action \"\" 1 1 0\n/action/x \"get\" 2 2 0\n/node \"\" 3 3 0\n"},
		"nothing in a list": {"[]", dump.List, ""},
		"nothing in a map":  {" {} ", dump.Map, ""},
		"an answer":         {answer, dump.Answer, answered},
		"an empty answer":   {`{"action":"get","node":{"dir":true}}`, dump.Answer, ""},
		"one file's answer": {`{"action":"get","node":{"key":"/p/q/r","value":"v","modifiedIndex":4,"createdIndex":3}}`, dump.Answer, "/p \"\" 3 3 0\n/p/q \"\" 3 3 0\n/p/q/r \"v\" 3 4 0\n"},
		"a part's answer":   {`{"action":"get","node":{"key":"/p/q","dir":true,"nodes":[{"key":"/p/q/r","value":"v","modifiedIndex":4,"createdIndex":3}],"modifiedIndex":2,"createdIndex":2}}`, dump.Answer, "/p \"\" 2 2 0\n/p/q \"\" 2 2 0\n/p/q/r \"v\" 3 4 0\n"},
	} {
		r, got, err := read(c.text, dump.Any)
		if err != nil || got != c.want || r.Format != c.format {
			t.Errorf("%s: %v\n%s", name, err, got)
			continue
		}
		if _, again, err := read(c.text, c.format); err != nil || again != got {
			t.Errorf("%s, as %s: %v\n%s", name, c.format, err, again)
		}
	}
}

func TestHeadersInFrontOfAnAnswer(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Etcd-Cluster-Id: cdf818194e3a8c32\r\nX-Etcd-Index: 12\r\nx-raft-term: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
	r, got, err := read(head+answer, dump.Any)
	if err != nil || got != answered || r.Format != dump.Answer || r.ClusterID != 0xcdf818194e3a8c32 || r.Index != 12 || r.Term != 3 || r.Largest != 9 || r.Root != "/" {
		t.Errorf("%+v %v\n%s", r, err, got)
	}
	for text, want := range map[string]string{
		strings.Replace(head, "200 OK", "404 Not Found", 1) + answer:       "status 200",
		strings.Replace(head, ": 12", ": 8", 1) + answer:                   `"/b" was modified at 9, in a tree at 8`,
		strings.Replace(head, ": 12", ": 4611686018427387905", 1) + answer: "isn't etcd's",
		strings.Replace(head, ": 12", ": x", 1) + answer:                   "isn't etcd's",
		head:                                "ends too early",
		strings.Trim(head, "\r\n"):          "ends too early",
		head + `[{"key":"/a","value":"v"}]`: "'[' where '{' should be",
		head + `{"a":"v"}`:                  `no "a" here`,
	} {
		if _, _, err := read(text, dump.Any); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhatTheFileCantSayIsCounted(t *testing.T) {
	r, _, err := read(`[{"key":"/a/b/c","value":"\ufffd"},{"key":"/a/e"},{"key":"/t","value":"","ttl":1}]`, dump.Any)
	if err != nil || r.Added != 2 || r.Binary.Values != 1 || r.Empty != 1 || r.Timed != 1 || r.Shallow || r.Indexed() {
		t.Errorf("%+v, %v", r, err)
	}
	if r, _, err := read(`{"\ufffd":{"a":"v"}}`, dump.Any); err != nil || r.Binary.Keys != 2 || r.Binary.Values != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, text, err := read(`[{"key":"/a","value64":"77+9"},{"key":"/b","value64":"/wA="}]`, dump.Any); err != nil || r.Binary.Values != 0 || !strings.Contains(string(text), `\xff\x00`) {
		t.Errorf("%+v, %q, %v", r, text, err)
	}
	r, _, err = read(`{"action":"get","node":{"dir":true,"nodes":[{"key":"/d","dir":true,"modifiedIndex":4,"createdIndex":4}]}}`, dump.Any)
	if err != nil || !r.Shallow || !r.Indexed() {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestABadFileIsRefusedWithThePlace(t *testing.T) {
	node := func(fields string) string { return `{"action":"get","node":{"dir":true,"nodes":[{` + fields + `}]}}` }
	for text, want := range map[string]string{
		"":                                       "line 1, byte 0: the file begins neither with",
		"\n\nkey: value\n":                       "line 3, byte 2: the file begins neither with",
		"[":                                      "line 1, byte 1: the file ends too early",
		"[\n{\"key\":\"/a\",\n":                  "line 3, byte 15: the file ends too early",
		`[{"key":"/a}`:                           "the file ends too early",
		`[{"key":"/a","value":"v"},]`:            "byte 26: ']' where '{' should be",
		`[{"key":"/a","value":"v"} {}]`:          "byte 26: '{' where ']' should be",
		`[] []`:                                  "byte 3: something follows",
		`[{"value":"v"}]`:                        "without a key",
		`[{"key":"/","value":"v"}]`:              "a value for /",
		`[{"key":"/a","value":1}]`:               "byte 21: '1' where '\"' should be",
		`[{"key":"/a","value":nil}]`:             "neither a text nor null",
		`[{"key":"/a","value64":"%"}]`:           "value64 isn't base64",
		`[{"key":"/a","value":"","value64":""}]`: "stands beside a value",
		`[{"key":"/a","value64":"","value":""}]`: `no field "value" here`,
		`[{"key":"/a","key":"/b"}]`:              `no field "key" here`,
		`[{"key":"/a","kvs":[]}]`:                `no field "kvs" here`,
		`[{"key":"/a","nodes":[]}]`:              "has no nodes",
		`[{"key":"/a","value":"v","dir":true}]`:  "both a directory and a value",
		`[{"key":"/a","ttl":-1}]`:                "a time to live of -1 seconds",
		`[{"key":"/a","ttl":1.5}]`:               "byte 19: no whole number",
		`[{"key":"/a","expiration":"tomorrow"}]`: `"tomorrow" is no time`,
		`[{"key":"/a","dir":maybe}]`:             "neither true nor false",
		`[{"key":"/a","value":"v"},{"key":"a/","value":"w"}]`:                       `byte 26: the key "/a" is there twice, at byte 1 too`,
		`[{"key":"/a/b","value":"v"},{"key":"/a","value":"w"}]`:                     `byte 1: the key "/a/b" is below "/a", which has a value at byte 28`,
		"[{\"key\":\"/a\",\"value\":\"\xff\"}]":                                     "byte 21: a text that isn't UTF-8",
		"[{\"key\":\"/a\",\"value\":\"\n\"}]":                                       "control character",
		`[{"key":"/a","value":"\x"}]`:                                               "unknown escape",
		`{"a":{"b":1}}`:                                                             `byte 10: the value of "/a/b" is neither`,
		`{"a":["v"]}`:                                                               `the value of "/a" is neither`,
		`{"a\ufffd":"v","a\ufffd":"w"}`:                                             "is there twice, at byte 11 too; U+FFFD stands for",
		`{"a/b":"v"}`:                                                               `"a/b" can't be the name`,
		`{"":"v"}`:                                                                  `"" can't be the name`,
		`{"..":"v"}`:                                                                `".." can't be the name`,
		`{"a":"v","a":"w"}`:                                                         `byte 13: the key "/a" is there twice, at byte 5 too`,
		`{"action":"get"}`:                                                          "--format=map",
		`{"action":"set","node":{"key":"/a","value":"v"}}`:                          "isn't a GET",
		`{"action":"get","node":{"dir":true},"node":{}}`:                            `no "node" here`,
		`{"action":"get","node":{"dir":true},"prevNode":{}}`:                        `no "prevNode" here`,
		`{"action":"get","node":{}}`:                                                "or neither",
		`{"action":"get","node":{"nodes":[]}}`:                                      "isn't said to be a directory",
		node(`"key":"/a","value":"v"`):                                              "created at 0",
		node(`"key":"/a","value":"v","modifiedIndex":3,"createdIndex":4`):           "created at 4 and modified at 3",
		node(`"key":"/a","value":"v","modifiedIndex":-1,"createdIndex":4`):          "created at 4",
		node(`"key":"/a/b","value":"v","modifiedIndex":4,"createdIndex":4`):         `"/a/b" isn't one of "/"`,
		node(`"key":"a","value":"v","modifiedIndex":4,"createdIndex":4`):            `"a" is no key`,
		node(`"key":"/a","modifiedIndex":4,"createdIndex":4`):                       "or neither",
		node(`"key":"/a","dir":true,"value":"","modifiedIndex":4,"createdIndex":4`): "both",
		strings.Repeat(`{"a":`, 5000):                                               "too many directories",
		`{"action":"get","node":{"dir":true,"nodes":[` + strings.Repeat(`{"dir":true,"key":"/a","nodes":[`, 5000): "too many directories",
	} {
		if _, _, err := read(text, dump.Any); !errors.Is(err, dump.ErrForm) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", text, err, want)
		}
	}
	broken := errors.New("input/output error")
	if _, err := dump.Read(io.MultiReader(strings.NewReader(`{"a":"`), iotest.ErrReader(broken)), dump.Options{}); !errors.Is(err, broken) || errors.Is(err, dump.ErrForm) {
		t.Error(err)
	}
}

// Any tree that v2 can print is the same again when it is read.
func TestEveryTreeComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var store tree.MemStore
		names := rapid.SampledFrom([]string{"a", "a!", "b", "<&>", "\"\\", "\u2028", "\t", "ü"})
		for range rapid.IntRange(0, 12).Draw(t, "files") {
			key := ""
			for range rapid.IntRange(0, 3).Draw(t, "depth") {
				key += "/" + names.Draw(t, "name")
				if n, ok := store.Get(key); ok && !n.Dir {
					store.Remove(&n)
				}
				store.Put(&tree.Node{Key: key, Dir: true, Created: 3, Modified: 4}, nil)
			}
			key += "/" + names.Draw(t, "name")
			if n, ok := store.Get(key); !ok || !n.Dir {
				store.Put(&tree.Node{Key: key, Value: []byte(rapid.String().Draw(t, "value")), Created: 5, Modified: 1 << 40, Expires: rapid.Int64Range(0, 1).Draw(t, "ttl") * now}, nil)
			}
		}
		var want, text strings.Builder
		for _, n := range store.Below("/") {
			fmt.Fprintf(&want, "%s %q %d %d %d\n", n.Key, n.Value, n.Created, n.Modified, n.Expires)
		}
		text.WriteString(`{"action":"get","node":{"dir":true,"nodes":[`)
		below(&text, &store, "/")
		text.WriteString(`]}}`)
		r, err := dump.Read(strings.NewReader(text.String()), dump.Options{})
		if err != nil {
			t.Fatalf("%v: %s", err, &text)
		}
		if got := show(r); got != want.String() {
			t.Fatalf("%s\ngot  %s\nwant %s", &text, got, &want)
		}
	})
}

// below prints the nodes in dir as v2 does.
func below(to *strings.Builder, store *tree.MemStore, dir string) {
	first := true
	for _, n := range store.Below("/") {
		if tree.Parent(n.Key) != dir {
			continue
		}
		if !first {
			to.WriteString(",")
		}
		first = false
		event := tree.Event{Action: tree.ActionSet, Node: n}
		text := strings.TrimSuffix(string(tree.AppendEvent(nil, &event)), "}\n")
		_, text, _ = strings.Cut(strings.TrimSuffix(text, "}"), `"node":{`)
		to.WriteString("{" + text)
		if n.Dir {
			to.WriteString(`,"nodes":[`)
			below(to, store, n.Key)
			to.WriteString("]")
		}
		to.WriteString("}")
	}
}
