package auth_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"copse/statemachine/auth"

	"pgregory.net/rapid"
)

// with makes a state in which auth is on and there are these roles and users.
func with(users []*auth.User, roles ...*auth.Role) *auth.State {
	return auth.NewState(true, users, roles)
}

// The rows of section 7 of the facts: for each pattern, which paths it covers plain and
// which recursively.
func TestPatterns(t *testing.T) {
	paths := []string{"", "/", "/fo", "/foo", "/foo/", "/foo/a", "/foo/b/c", "/foo/*", "/foobar", "foo", "/_hid", "/foo/_hid", "/f*o", "/é"}
	all := paths
	for _, c := range []struct {
		pattern          string
		plain, recursive []string
	}{
		{"/foo", texts("/foo"), nil},
		{"/foo/*", texts("/foo/", "/foo/a", "/foo/b/c", "/foo/*", "/foo/_hid"), texts("/foo/", "/foo/a", "/foo/b/c", "/foo/*", "/foo/_hid")},
		{"/foo*", texts("/foo", "/foo/", "/foo/a", "/foo/b/c", "/foo/*", "/foobar", "/foo/_hid"), texts("/foo", "/foo/", "/foo/a", "/foo/b/c", "/foo/*", "/foobar", "/foo/_hid")},
		{"/foo/**", texts("/foo/*"), texts("/foo/*")},
		{"/*", slices.DeleteFunc(slices.Clone(all), func(p string) bool { return p == "" || p == "foo" }), slices.DeleteFunc(slices.Clone(all), func(p string) bool { return p == "" || p == "foo" })},
		{"*", all, all},
		{"foo*", texts("foo"), texts("foo")},
		{"/f*o", texts("/f*o"), nil},
		{"", nil, nil},
	} {
		// The guest, a user by a role, and a user by role guest follow one rule.
		s := with([]*auth.User{{Name: "g", Roles: texts("guest")}, {Name: "u", Roles: texts("gone", "r")}},
			&auth.Role{Name: "guest", Permissions: *kv(texts(c.pattern), nil)}, &auth.Role{Name: "r", Permissions: *kv(texts(c.pattern), nil)})
		w := with([]*auth.User{{Name: "g", Roles: texts("guest")}, {Name: "u", Roles: texts("gone", "r")}},
			&auth.Role{Name: "guest", Permissions: *kv(nil, texts("x", c.pattern))}, &auth.Role{Name: "r", Permissions: *kv(nil, texts("x", c.pattern))})
		for _, who := range []auth.Who{auth.TheGuest, auth.TheUser("u"), auth.TheUser("g")} {
			if got, want := s.MayReadSome(who), len(c.recursive) > 0; got != want || w.MayReadSome(who) {
				t.Errorf("%q: %v may read all below something: %v", c.pattern, who, got)
			}
			for _, path := range paths {
				for recursive, want := range map[bool][]string{false: c.plain, true: c.recursive} {
					if got, want := s.May(who, auth.Read, path, recursive), slices.Contains(want, path); got != want {
						t.Errorf("%q, %q, recursive %v: %v may read: %v", c.pattern, path, recursive, who, got)
					}
					if got, want := w.May(who, auth.Write, path, recursive), slices.Contains(want, path); got != want {
						t.Errorf("%q, %q, recursive %v: %v may write: %v", c.pattern, path, recursive, who, got)
					}
					if s.May(who, auth.Write, path, recursive) || w.May(who, auth.Read, path, recursive) {
						t.Errorf("%q, %q: reading gives writing, or the reverse", c.pattern, path)
					}
				}
			}
		}
	}
}

func TestWhoMay(t *testing.T) {
	users := []*auth.User{
		{Name: "admin", Roles: texts("gone", "root")}, {Name: "none"}, {Name: "reader", Roles: texts("r")}, {Name: "root", Roles: texts("root")},
	}
	roles := []*auth.Role{{Name: "guest", Permissions: *kv(texts("/pub/*"), texts("/*"))}, {Name: "r", Permissions: *kv(texts("/r/*"), nil)}}
	on := with(users, roles...)
	for _, c := range []struct {
		who                               auth.Who
		bare, pub, own, write, administer bool
	}{
		{auth.Who{}, false, false, false, false, false},
		{auth.TheGuest, false, true, false, true, false},
		{auth.TheUser("none"), false, false, false, false, false}, // not even what the guest may
		{auth.TheUser("stranger"), false, false, false, false, false},
		{auth.TheUser(""), false, false, false, false, false},
		{auth.TheUser("guest"), false, false, false, false, false},
		{auth.TheUser("Root"), false, false, false, false, false},
		{auth.TheUser("reader"), false, false, true, false, false},
		{auth.TheUser("admin"), true, true, true, true, true},
		{auth.TheUser("root"), true, true, true, true, true},
	} {
		got := []bool{
			on.May(c.who, auth.Read, "", true), on.May(c.who, auth.Read, "/pub/a", true), on.May(c.who, auth.Read, "/r/a", true),
			on.May(c.who, auth.Write, "/any", true), on.MayAdminister(c.who),
		}
		if want := []bool{c.bare, c.pub, c.own, c.write, c.administer}; !slices.Equal(got, want) {
			t.Errorf("%+v may %v, want %v", c.who, got, want)
		}
		off := auth.NewState(false, users, roles)
		if !off.May(c.who, auth.Read, "", true) || !off.May(c.who, auth.Write, "/a", false) || !off.MayAdminister(c.who) {
			t.Errorf("auth is off, and yet %+v may not do everything", c.who)
		}
	}
	closed := with(users)
	if closed.May(auth.TheGuest, auth.Read, "/pub/a", false) {
		t.Error("there is no role guest, and the guest may read")
	}
}

var (
	someNames    = []string{"root", "guest", "a", "b", "_c", "é"}
	somePatterns = []string{"", "*", "/*", "/a", "/a/*", "/a*", "/a/b", "/b", "a"}
	somePaths    = []string{"", "/", "/a", "/a/", "/a/b", "/ab", "/b"}
)

// lists draws a list of some texts; it may be nil or empty, and have some twice.
func lists(texts []string) *rapid.Generator[[]string] {
	return rapid.Custom(func(t *rapid.T) []string {
		if rapid.IntRange(0, 2).Draw(t, "nil") == 0 {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(texts), 0, 3).Draw(t, "list")
	})
}

func somePermissions(t *rapid.T, name string) *auth.Permissions {
	return kv(lists(somePatterns).Draw(t, name+" read"), lists(somePatterns).Draw(t, name+" write"))
}

// changes draws a change of few users and roles, so that they meet.
func changes() *rapid.Generator[auth.Change] {
	return rapid.Custom(func(t *rapid.T) auth.Change {
		c := auth.Change{Op: rapid.SampledFrom([]auth.Op{
			auth.PutUser, auth.PutUser, auth.PutUser, auth.PutRole, auth.PutRole, auth.PutRole,
			auth.DeleteUser, auth.DeleteRole, auth.Enable, auth.Disable, auth.Init,
		}).Draw(t, "op")}
		if c.Op >= auth.PutUser && c.Op <= auth.DeleteRole {
			c.Name = rapid.SampledFrom(someNames).Draw(t, "name")
		}
		c.Hash = rapid.SampledFrom([]string{"", "h", "i"}).Draw(t, "hash")
		c.Roles, c.Grant, c.Revoke = lists(someNames).Draw(t, "roles"), lists(someNames).Draw(t, "grant"), lists(someNames).Draw(t, "revoke")
		c.Permissions = *somePermissions(t, "permissions")
		if rapid.Bool().Draw(t, "grants") {
			c.GrantKeys = somePermissions(t, "grant")
		}
		if rapid.Bool().Draw(t, "revokes") {
			c.RevokeKeys = somePermissions(t, "revoke")
		}
		return c
	})
}

// Whatever is asked, a state stays in order, is the same after a trip through the store,
// and old states don't change.
func TestAnyChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &auth.State{}
		for _, c := range rapid.SliceOfN(changes(), 1, 30).Draw(t, "changes") {
			before := state(s)
			next, out := s.Apply(&c)
			if state(s) != before {
				t.Fatalf("%+v has changed the old state from %s to %s", c, before, state(s))
			}
			if out.Refused() != (next == s) || out.Refused() != (out.Message != "") {
				t.Fatalf("%+v: %+v, and the state is %s", c, out, state(next))
			}
			if root, ok := next.User(auth.Root); ok && !slices.Contains(root.Roles, auth.Root) || next.Enabled && !ok {
				t.Fatalf("%+v leaves root without its role: %s", c, state(next))
			}
			users, _ := auth.All(next)
			for _, u := range users {
				if old, ok := s.User(u.Name); ok && old != u && (c.Op != auth.PutUser || c.Name != u.Name) {
					t.Fatalf("%+v makes %s anew", c, u.Name)
				}
			}
			sameAfterTheStore(t, next)
			s = next
		}
	})
}

func sameAfterTheStore(t *rapid.T, s *auth.State) {
	enabled, err := auth.ReadFlag(s.AppendFlag(nil))
	if err != nil {
		t.Fatal(err)
	}
	all, allRoles := auth.All(s)
	var users []*auth.User
	for _, u := range all {
		back, err := auth.ReadUser(u.Name, u.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, back)
	}
	var roles []*auth.Role
	for _, r := range allRoles {
		back, err := auth.ReadRole(r.Name, r.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		roles = append(roles, back)
	}
	back := auth.NewState(enabled, users, roles)
	if state(back) != state(s) {
		t.Fatalf("%s became %s", state(s), state(back))
	}
	if auth.Size(back) != auth.Size(s) {
		t.Fatalf("%s takes %d bytes, and %d after the store", state(s), auth.Size(s), auth.Size(back))
	}
}

// Every further role of a user, and every further pattern of a role, gives rights and
// takes none away; and what is recursive needs no less than what isn't.
func TestMoreNeverGivesLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) *auth.Role { return &auth.Role{Name: name, Permissions: *somePermissions(t, name)} }
		roles := []*auth.Role{draw("a"), draw("b"), draw("guest")}
		of := lists([]string{"a", "b", "gone", "guest", "root"}).Draw(t, "roles")
		more := append(slices.Clone(of), rapid.SampledFrom([]string{"a", "b", "gone", "guest", "root"}).Draw(t, "more"))
		grown := slices.Clone(roles)
		at := rapid.IntRange(0, 2).Draw(t, "role")
		plus := *roles[at]
		plus.Read = append(slices.Clone(plus.Read), rapid.SampledFrom(somePatterns).Draw(t, "read"))
		plus.Write = append(slices.Clone(plus.Write), rapid.SampledFrom(somePatterns).Draw(t, "write"))
		grown[at] = &plus
		state := func(of []string, roles []*auth.Role) *auth.State {
			return with([]*auth.User{{Name: "u", Roles: of}}, roles...)
		}
		less := state(of, roles)
		for _, who := range []auth.Who{auth.TheGuest, auth.TheUser("u")} {
			for _, path := range somePaths {
				for _, what := range []auth.Access{auth.Read, auth.Write} {
					for _, recursive := range []bool{false, true} {
						may := less.May(who, what, path, recursive)
						if may && (!state(more, roles).May(who, what, path, recursive) || !state(of, grown).May(who, what, path, recursive)) {
							t.Fatalf("%v may no more %v %q", who, what, path)
						}
						if may && !less.May(who, what, path, false) {
							t.Fatalf("%v may do to all below %q what it may not do to it", who, path)
						}
					}
				}
			}
		}
	})
}

func TestMayDoesntAllocate(t *testing.T) {
	s := crowd(100)
	if n := testing.AllocsPerRun(100, func() {
		s.May(auth.TheUser("user00050"), auth.Read, "/50/key", true)
		s.May(auth.TheGuest, auth.Write, "/50/key", true)
		s.MayAdminister(auth.TheUser("user00050"))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// crowd is a state of n users, each with a role of its own.
func crowd(n int) *auth.State {
	var users []*auth.User
	var roles []*auth.Role
	for i := range n {
		name := fmt.Sprintf("user%05d", i)
		users = append(users, &auth.User{Name: name, Hash: "h", Roles: texts(name)})
		roles = append(roles, &auth.Role{Name: name, Permissions: *kv(texts(fmt.Sprintf("/%d/*", i)), nil)})
	}
	return with(users, roles...)
}

func BenchmarkMay(b *testing.B) {
	const users = 10_000
	s := crowd(users)
	who, paths := make([]auth.Who, users), make([]string, users)
	for i := range users {
		who[i], paths[i] = auth.TheUser(fmt.Sprintf("user%05d", i)), fmt.Sprintf("/%d/key", i)
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(users)
	for i := 0; b.Loop(); i++ {
		at := order[i%users]
		if !s.May(who[at], auth.Read, paths[at], true) {
			b.Fatal("it may not")
		}
	}
}

func BenchmarkChange(b *testing.B) {
	s := crowd(10_000)
	c := putUser("user05000", "i", nil, nil, nil)
	for b.Loop() {
		if _, out := s.Apply(&c); out.Refused() {
			b.Fatal(outcome(&out))
		}
	}
}
