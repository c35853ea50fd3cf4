package importer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"copse/actors/importer"
)

// etcd answers as an etcd with two keys, one of them hidden, and as many writes as a test
// makes meanwhile.
type etcd struct {
	*httptest.Server
	index   int
	asked   func(path, query string) // before each answer
	auth    bool
	cluster string // its id
	member  string // its name, as in JSON

	// If they are others:
	root    string // nodes in /
	file    string // the answer to a read of /
	hidden  string // the key of the answer to a read of /d/_h
	event   int    // the index of each event
	failure string // the answer to reads below /d
}

func newEtcd(t *testing.T) *etcd {
	e := &etcd{index: 7, cluster: "c1", member: "m1", asked: func(string, string) {}}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *etcd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.asked(r.URL.Path, r.URL.RawQuery)
	w.Header().Set("X-Etcd-Cluster-Id", e.cluster)
	w.Header().Set("X-Etcd-Index", fmt.Sprint(e.index))
	w.Header().Set("X-Raft-Term", "3")
	fail := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	_, password, _ := r.BasicAuth()
	switch path, from := r.URL.Path, r.URL.Query().Get("waitIndex"); {
	case path == "/v2/auth/enable":
		fmt.Fprintf(w, `{"enabled":%t}`, e.auth)
	case e.auth && password != "secret":
		fail(http.StatusUnauthorized, `{"errorCode":110}`)
	case path == "/v2/auth/users" && e.auth:
		_, _ = io.WriteString(w, `{"users":[{"user":"root","roles":[{"role":"root"}]},{"user":"ann","roles":[{"role":"r"}]}]}`)
	case path == "/v2/auth/roles":
		_, _ = io.WriteString(w, `{"roles":[{"role":"root"},{"role":"r","permissions":{"kv":{"read":["/a"],"write":null}}}]}`)
	case path == "/version":
		_, _ = io.WriteString(w, `{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}`)
	case path == "/v2/members":
		fmt.Fprintf(w, `{"members":[{"id":"1","name":"%s"}]}`, e.member)
	case strings.HasPrefix(path, "/v2/keys/d/") && e.failure != "":
		fail(http.StatusInternalServerError, e.failure)
	case from != "" && e.event != 0:
		fmt.Fprintf(w, `{"action":"set","node":{"key":"/a","value":"v","modifiedIndex":%d,"createdIndex":1}}`, e.event)
	case from != "" && from < "4":
		fail(http.StatusBadRequest, `{"errorCode":401}`)
	case from != "" && from <= "6":
		_, _ = io.WriteString(w, `{"action":"set","node":{"key":"/d/_h/x","value":"\ufffd","modifiedIndex":6,"createdIndex":6}}`)
	case from != "":
		fmt.Fprintf(w, `{"action":"set","node":{"key":"/a","value":"v","modifiedIndex":%s,"createdIndex":4}}`, from)
	case path == "/v2/keys/" && e.file != "":
		fmt.Fprintf(w, `{"action":"get","node":%s}`, e.file)
	case path == "/v2/keys/d/_h" && e.hidden != "":
		fmt.Fprintf(w, `{"action":"get","node":{"key":%q,"dir":true,"modifiedIndex":6,"createdIndex":6}}`, e.hidden)
	case path == "/v2/keys/" && e.root != "":
		fmt.Fprintf(w, `{"action":"get","node":{"dir":true,"nodes":[%s]}}`, e.root)
	case path == "/v2/keys/":
		_, _ = io.WriteString(w, `{"action":"get","node":{"dir":true,"nodes":[{"key":"/a","value":"v","modifiedIndex":5,"createdIndex":4},{"key":"/d","dir":true,"modifiedIndex":6,"createdIndex":6}]}}`)
	case path == "/v2/keys/d/_h":
		_, _ = io.WriteString(w, `{"action":"get","node":{"key":"/d/_h","dir":true,"nodes":[{"key":"/d/_h/x","value":"\ufffd","modifiedIndex":6,"createdIndex":6}],"modifiedIndex":6,"createdIndex":6}}`)
	default:
		fail(http.StatusNotFound, fmt.Sprintf(`{"errorCode":100,"index":%d}`, e.index))
	}
}

// take imports from the servers.
func take(t *testing.T, change func(*importer.Options), from ...*etcd) (report string, err error) {
	t.Helper()
	o := importer.Options{Import: importer.Import{DryRun: true, IndexMargin: 100}, Hash: func(p string) (string, error) { return "hash of " + p, nil }}
	for _, e := range from {
		u, err := url.Parse(e.URL)
		check(t, err)
		o.From = append(o.From, *u)
	}
	change(&o)
	var b bytes.Buffer
	err = importer.Run(t.Context(), nil, o, &b, io.Discard)
	return b.String(), err
}

func TestARunningEtcdIsReadWhole(t *testing.T) {
	gone := newEtcd(t)
	gone.Close()
	report, err := take(t, func(*importer.Options) {}, gone, newEtcd(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"cluster     id c1, version 3.4.0, members: m1\n", "nodes       4, of which 2 hidden and 0 with", "index       7; copse goes on above 107\n", "term        3\n",
		"events      2, from index ", "auth        not enabled, users: 0, roles: 1\n", "hidden      /d/_h\n", "other hidden nodes aren't known", "1 values have U+FFFD",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
	if strings.Contains(report, "missing") || strings.Contains(report, "list empty") {
		t.Error(report)
	}
}

func TestWritesMeanwhileAreMissing(t *testing.T) {
	for name, c := range map[string]struct {
		path, query string // with which the writes come
		want        string
	}{
		"between its parts": {"/v2/keys/d/_h", "", "one moment of everything"},
		"afterwards":        {"/v2/members", "", "the latest writes: etcd is at index 8 by now"},
	} {
		e := newEtcd(t)
		e.asked = func(path, _ string) {
			if path == c.path {
				e.index++
			}
		}
		report, err := take(t, func(*importer.Options) {}, e)
		if !errors.Is(err, importer.ErrPartial) || !strings.Contains(report, "missing     "+c.want) || !strings.Contains(report, "events      none") || !strings.Contains(report, "copse goes on above 1000") {
			t.Errorf("%s: %v\n%s", name, err, report)
		}
	}
	// A single one only makes it read again.
	e, once := newEtcd(t), true
	e.asked = func(path, _ string) {
		if path == "/v2/keys/d/_h" && once {
			e.index, once = e.index+1, false
		}
	}
	if report, err := take(t, func(*importer.Options) {}, e); err != nil || !strings.Contains(report, "index       8; copse goes on above 108") {
		t.Errorf("%v\n%s", err, report)
	}
}

// Each time that the tree is read, somebody makes another hidden key.
func TestHiddenKeysThatWereNotReadAreMissing(t *testing.T) {
	e := newEtcd(t)
	e.asked = func(path, query string) {
		if path == "/v2/keys/" && strings.Contains(query, "quorum") {
			e.index++
		}
	}
	e.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at, _ := strconv.Atoi(r.FormValue("waitIndex")); at > 7 {
			w.Header().Set("X-Etcd-Cluster-Id", e.cluster)
			fmt.Fprintf(w, `{"action":"set","node":{"key":"/_new%d","value":"v","modifiedIndex":%d,"createdIndex":%d}}`, at, at, at)
			return
		}
		e.ServeHTTP(w, r)
	})
	report, err := take(t, func(*importer.Options) {}, e)
	if !errors.Is(err, importer.ErrPartial) || !strings.Contains(report, "missing     hidden nodes that were made while") || !strings.Contains(report, "events      none") {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestASourceWithAuth(t *testing.T) {
	e := newEtcd(t)
	e.auth = true
	for password, want := range map[string]string{"": "needs root's password", "wrong": "refuses root's password"} {
		if report, err := take(t, func(o *importer.Options) { o.Password = password }, e); !errors.Is(err, importer.ErrUsage) || !strings.Contains(err.Error(), want) || report != "" {
			t.Errorf("%v\n%s", err, report)
		}
	}
	report, err := take(t, func(o *importer.Options) { o.Password = "secret" }, e)
	if !errors.Is(err, importer.ErrPartial) || !strings.Contains(report, "auth        enabled, users: 2, roles: 1") || !strings.Contains(report, "the passwords of 1 users, which etcd shows to nobody: set new ones, or they can't log in: ann\n") {
		t.Errorf("%v\n%s", err, report)
	}
}

func TestWhatCantBeASourceIsRefused(t *testing.T) {
	e := newEtcd(t)
	for name, c := range map[string]struct {
		change func(*importer.Options)
		from   []*etcd
		want   string
	}{
		"a visible key to be hidden": {func(o *importer.Options) { o.Hidden = []string{"/a_/b"} }, []*etcd{e}, "--hidden=/a_/b isn't hidden"},
		"hidden keys of a directory": {func(o *importer.Options) { o.Hidden = []string{"/_a"} }, nil, "--hidden only with --from"},
		"something else":             {func(*importer.Options) {}, []*etcd{newEtcdThat(t, http.NotFoundHandler())}, "/v2/auth/enable"},
	} {
		if _, err := take(t, c.change, c.from...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.asked = func(path, _ string) {
		if path == "/v2/keys/d/_h" {
			e.cluster = "c2" // another one answers at the same URL
		}
	}
	if _, err := take(t, func(*importer.Options) {}, e); err == nil || !strings.Contains(err.Error(), "different clusters") {
		t.Error(err)
	}
}

func newEtcdThat(t *testing.T, h http.Handler) *etcd {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &etcd{Server: s}
}

func TestAHostileSourceIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*etcd)
		want   string
	}{
		"another key":         {func(e *etcd) { e.hidden = "/d/_g" }, `that to a read of "/d/_g"`},
		"the same event":      {func(e *etcd) { e.event = 3 }, "an event at 3, and was asked"},
		"an index out of all": {func(e *etcd) { e.index = 1<<62 + 1 }, "above"},
		"a text for errors": {func(e *etcd) {
			e.failure = `{"errorCode":300,"cause":"\u001b[2J\n"}`
		}, `\x1b[2J\n`},
	} {
		e := newEtcd(t)
		c.change(e)
		if report, err := take(t, func(*importer.Options) {}, e); err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %v\n%s", name, err, report)
		}
	}
	e := newEtcd(t)
	e.file = `{"key":"/a","value":"v","modifiedIndex":5,"createdIndex":4}`
	if _, err := take(t, func(*importer.Options) {}, e); err == nil || !strings.Contains(err.Error(), `that to a read of "/a"`) {
		t.Error("one file for all: ", err)
	}
}

func TestNamesCantForgeLines(t *testing.T) {
	e := newEtcd(t)
	e.member = `m\u001b[2J\nmissing     all`
	report, err := take(t, func(*importer.Options) {}, e)
	if err != nil || !strings.Contains(report, `members: m\x1b[2J\nmissing     all`+"\n") || strings.Contains(report, "\x1b") {
		t.Errorf("%v\n%s", err, report)
	}
}
