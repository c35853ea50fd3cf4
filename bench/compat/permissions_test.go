package compat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"

	"golang.org/x/crypto/bcrypt"
	"pgregory.net/rapid"
)

// The users of a fleet have one password. asAdmin logs in on copse as the one with the
// role root, in scripts too.
const (
	password = "pw"
	admin    = "root"
	asAdmin  = "As: " + admin + ":" + password
)

// newAuthFleet starts servers with these users and their roles, and auth enabled. The
// roles of the guest and the users are still to be made: all but root may do nothing.
func newAuthFleet(t *testing.T, kinds []peer.Kind, shards int, users map[string][]string) *fleet {
	f := newFleet(t, kinds, shards)
	for _, tg := range f.targets {
		if tg.server.Kind.IsCopse() {
			tg.rank() // "auth-index"
		}
		tg.must(t, "PUT", "/v2/auth/roles/guest", `{"role":"guest"}`)
		tg.seedUser(t, admin, []string{"root"})
		for name, roles := range users {
			tg.seedUser(t, name, roles)
		}
		tg.must(t, "PUT", "/v2/auth/enable", "")
	}
	return f
}

// seedUser makes a user, before auth is on. etcd hashes the password with each request,
// for 80 ms, and only its hash says how expensive that is. So in etcd the user's record
// is a key with the cheapest of hashes, to which the user's name leads: a fault of
// etcd's (docs/differences.md, auth-names), and the difference between a hundred requests and
// ten thousand in the same time.
func (tg *target) seedUser(t *testing.T, name string, roles []string) {
	t.Helper()
	list, err := json.Marshal(roles)
	if err != nil {
		t.Fatal(err)
	}
	tg.must(t, "PUT", "/v2/auth/users/"+name, fmt.Sprintf(`{"user":%q,"password":%q,"roles":%s}`, name, password, list))
	if tg.server.Kind.IsCopse() {
		return
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf(`{"user":%q,"password":%q,"roles":%s}`, name, hash, list)
	tg.must(t, "PUT", "/v2/keys/_users/"+name, "value="+strings.ReplaceAll(record, "+", "%2B"))
}

// credentials is the header of a user of seedUser.
func (tg *target) credentials(name string) string {
	if !tg.server.Kind.IsCopse() {
		name = "../../1/_users/" + name
	}
	return credentials("As: " + name + ":" + password)
}

// must sends one target a request that has to succeed, without comparing the answer.
func (tg *target) must(t *testing.T, method, path, body string) {
	t.Helper()
	h, answer, err := tg.caller.do(request{method: method, target: path, body: body})
	if err != nil || h.code() >= http.StatusMultipleChoices {
		t.Fatalf("%s: %s %s: %s %s %v", tg.server.Kind, method, path, h.status, answer, err)
	}
}

// leaks reports whether etcd lets the guest do more than it may: it holds users alone to
// the rule that what is recursive needs a pattern with a star ("auth-guest").
func leaks(r request) bool { return r.as == "" && strings.Contains(r.target, "recursive=true") }

// askBoth compares the answers to a user's request, and to the same of the guest, who has
// the same patterns.
func (f *fleet) askBoth(user string, r request) {
	f.t.Helper()
	r.as, r.like = user, user
	f.ask(r)
	r.as = ""
	f.ask(r)
}

// The patterns and paths of TestPermissions: with and without slash, star and
// underscore, and what looks like another of them.
var (
	patterns = []string{
		"/foo", "/foo/", "/foo/*", "/foo*", "/*", "*", "foo*", "/foo/a", "/f*o", "/foo/**",
		"/_hid", "/_*", "/foo/_h", "/é*", "/no", "/new/*",
	}
	paths = []string{
		"", "/", "/foo", "/foo/", "/foo/a", "/foo/b", "/foo/b/c", "/foobar", "/fo", "/f%2Ao",
		"/foo%2Fa", "/_hid", "/foo/_h", "/%C3%A9", "/new/a", "/foo/*",
	}
)

// asks are what a client may want of a path. No write of these changes anything but
// the POST.
var asks = []request{
	{method: "GET"},
	{method: "HEAD"},
	{method: "GET", target: "?recursive=true"},
	{method: "GET", target: "?recursive=true&sorted=true&quorum=true"},
	{method: "PUT", target: "?prevExist=true&prevValue=never", body: "value=x"},
	{method: "PUT", target: "?prevIndex=1&recursive=true", body: "value=x"},
	{method: "DELETE", target: "?prevIndex=1"},
	{method: "DELETE", target: "?prevIndex=1&recursive=true"},
	{method: "POST", body: "value=x"},
	{method: "GET", target: "?recursive=maybe"},
}

// TestPermissions compares who may do what: each pattern, path and method, for the guest and
// for a user, with and without recursion.
func TestPermissions(t *testing.T) {
	t.Parallel()
	peer.EachShards(t, peer.Kind(*candidate), comparePermissions)
}

func comparePermissions(t *testing.T, shards int) {
	users := map[string][]string{"reader": {"reads"}, "writer": {"gone", "writes"}}
	f := newAuthFleet(t, fleetKinds(shards), shards, users)
	defer f.close()
	for _, key := range []string{"/foo/a", "/foo/b/c", "/foo/_h", "/foobar", "/_hid", "/%C3%A9", "/f%2Ao"} {
		f.ask(request{as: admin, method: "PUT", target: "/v2/keys" + key, body: "value=1"})
	}
	role := func(name, change string) {
		t.Helper()
		f.ask(request{as: admin, method: "PUT", target: "/v2/auth/roles/" + name, body: fmt.Sprintf(`{"role":%q,%s}`, name, change)})
	}
	role("reads", `"permissions":{}`)
	role("writes", `"permissions":{}`)
	for _, pattern := range patterns {
		for list, user := range map[string]string{"read": "reader", "write": "writer"} {
			for _, name := range []string{"guest", list + "s"} {
				role(name, fmt.Sprintf(`"grant":{"kv":{%q:[%q]}}`, list, pattern))
			}
			for _, path := range paths {
				for _, r := range asks {
					if reads := r.method == "GET" || r.method == "HEAD"; reads == (list == "read") {
						r.target = "/v2/keys" + path + r.target
						f.askBoth(user, r)
					}
				}
			}
			for _, name := range []string{"guest", list + "s"} {
				role(name, fmt.Sprintf(`"revoke":{"kv":{%q:[%q]}}`, list, pattern))
			}
		}
	}
	for _, path := range paths {
		for _, r := range asks {
			r.target = "/v2/keys" + path + r.target
			for _, r.as = range []string{admin, "nobody", "reader"} {
				f.ask(r)
			}
		}
	}
}

// TestRandomAuth compares random changes of users and roles, and what they make of
// requests. rapid shortens what fails, and prints its seed.
func TestRandomAuth(t *testing.T) {
	t.Parallel()
	peer.EachShards(t, peer.Kind(*candidate), compareRandomAuth)
}

func compareRandomAuth(t *testing.T, shards int) {
	kinds := []peer.Kind{peer.Etcd34, peer.Kind(*candidate)}
	f := newAuthFleet(t, kinds, shards, map[string][]string{"u": {"a", "b"}, "v": {"guest", "b"}})
	defer f.close()
	rapid.Check(t, func(rt *rapid.T) {
		f.t = rt
		f.asked = nil
		defer func() { f.t = t }()
		f.reset()
		for _, op := range rapid.SliceOfN(operations, 1, 40).Draw(rt, "requests") {
			if !leaks(op) {
				f.ask(op)
			}
		}
	})
}

// reset removes what a run may have made.
func (f *fleet) reset() {
	f.t.Helper()
	for _, name := range []string{"a", "b", "guest"} {
		f.ask(request{as: admin, method: "DELETE", target: "/v2/auth/roles/" + name})
	}
	for _, name := range []string{"x", "y"} {
		f.ask(request{as: admin, method: "DELETE", target: "/v2/auth/users/" + name})
	}
	f.ask(request{as: admin, method: "DELETE", target: "/v2/keys/d?recursive=true"})
}

var (
	somePatterns = rapid.SliceOfN(rapid.SampledFrom([]string{"/d", "/d/*", "/d*", "/*", "*", "/d/a", "/e"}), 0, 3)
	someRoles    = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "guest", "root"}), 0, 3)
	operations   = rapid.Custom(func(t *rapid.T) request {
		switch kind := rapid.SampledFrom([]string{"role", "role", "user", "key", "key", "key"}).Draw(t, "kind"); kind {
		case "role":
			return settingOf(t, kind, []string{"a", "b", "guest", "root"}, map[string]func() any{
				"permissions": func() any { return permissionsOf(t) },
				"grant":       func() any { return permissionsOf(t) },
				"revoke":      func() any { return permissionsOf(t) },
			})
		case "user":
			return settingOf(t, kind, []string{"x", "y"}, map[string]func() any{
				"roles":    func() any { return someRoles.Draw(t, "roles") },
				"grant":    func() any { return someRoles.Draw(t, "grant") },
				"revoke":   func() any { return someRoles.Draw(t, "revoke") },
				"password": func() any { return rapid.SampledFrom([]string{"", "p"}).Draw(t, "password") },
			})
		}
		return request{
			as:     rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "user"),
			method: rapid.SampledFrom([]string{"GET", "HEAD", "PUT", "POST", "DELETE"}).Draw(t, "method"),
			target: "/v2/keys" + rapid.SampledFrom([]string{"/d", "/d/", "/d/a", "/d/b", "/d/_h", "/"}).Draw(t, "path") +
				rapid.SampledFrom([]string{"", "", "?recursive=true", "?quorum=true", "?dir=true", "?prevExist=true"}).Draw(t, "query"),
			body: "",
		}
	})
)

// settingOf is a request for a user or a role. A name that is missing or wrong in the body,
// and all fields at once, are likely.
func settingOf(t *rapid.T, kind string, names []string, fields map[string]func() any) request {
	name := rapid.SampledFrom(names).Draw(t, "name")
	r := request{as: admin, target: "/v2/auth/" + kind + "s/" + name}
	r.method = rapid.SampledFrom([]string{"PUT", "PUT", "PUT", "GET", "DELETE", "list"}).Draw(t, "method")
	switch {
	case r.method == "list":
		r.method, r.target = "GET", "/v2/auth/"+kind+"s"
	case r.method == "DELETE" && name == "root":
		r.method = "GET"
	}
	if r.method != "PUT" {
		return r
	}
	body := map[string]any{kind: name}
	if rapid.IntRange(0, 20).Draw(t, "odd") == 20 {
		body[kind] = "other"
	}
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if rapid.IntRange(0, 2).Draw(t, key) == 2 {
			body[key] = fields[key]()
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r.body = string(text)
	return r
}

// permissionsOf is {"kv":{"read":[…],"write":[…]}}, with a list that is missing at times.
func permissionsOf(t *rapid.T) any {
	kv := map[string]any{}
	for _, list := range []string{"read", "write"} {
		if rapid.Bool().Draw(t, list) {
			kv[list] = somePatterns.Draw(t, "patterns")
		}
	}
	return map[string]any{"kv": kv}
}
