package auth_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"copse/statemachine/auth"
)

// list prints a list as JSON shows it, but for quotes.
func list(texts []string) string {
	if texts == nil {
		return "null"
	}
	return "[" + strings.Join(texts, " ") + "]"
}

func user(u *auth.User) string { return u.Name + list(u.Roles) }

func permissions(p *auth.Permissions) string { return list(p.Read) + list(p.Write) }

func role(r *auth.Role) string {
	text := r.Name + permissions(&r.Permissions)
	if r.Grant != nil {
		text += " grant" + permissions(r.Grant)
	}
	if r.Revoke != nil {
		text += " revoke" + permissions(r.Revoke)
	}
	return text
}

// outcome prints an outcome in one line.
func outcome(o *auth.Outcome) string {
	text := [...]string{"200", "201", "400", "403", "404", "409"}[o.Kind]
	switch {
	case o.Refused():
		text += " " + o.Message
	case o.User != nil:
		text += " " + user(o.User)
	case o.Role != nil:
		text += " " + role(o.Role)
	}
	return text
}

// state prints a state: users, with the first letter of their hashes, and roles.
func state(s *auth.State) string {
	var all []string
	users, roles := auth.All(s)
	for _, u := range users {
		all = append(all, u.Hash+":"+user(u))
	}
	for _, r := range roles {
		all = append(all, role(r))
	}
	if s.Enabled {
		all = append(all, "on")
	}
	return strings.Join(all, ", ")
}

// step is one change and what becomes of it.
type step struct {
	name   string
	change auth.Change
	want   string // the outcome
	state  string // afterwards; "" is unchanged
}

func run(t *testing.T, s *auth.State, steps []step) *auth.State {
	t.Helper()
	for _, step := range steps {
		before := state(s)
		sent, err := auth.ReadChange(step.change.Append(nil))
		if err != nil || !reflect.DeepEqual(*sent, step.change) {
			t.Fatalf("%s: %+v became %+v, %v", step.name, step.change, sent, err)
		}
		next, out := s.Apply(sent)
		back, err := auth.ReadOutcome(out.Append(nil))
		if err != nil || !reflect.DeepEqual(back, out) {
			t.Fatalf("%s: %+v became %+v, %v", step.name, out, back, err)
		}
		if got := outcome(&out); got != step.want {
			t.Errorf("%s: %s\nwant %s", step.name, got, step.want)
		}
		if state(s) != before {
			t.Errorf("%s: the old state is now %s", step.name, state(s))
		}
		if out.Refused() != (next == s) {
			t.Errorf("%s: %s, and the new state is %s", step.name, outcome(&out), state(next))
		}
		want := step.state
		if want == "" {
			want = before
		}
		if got := state(next); got != want {
			t.Errorf("%s: the state is\n     %s\nwant %s", step.name, got, want)
		}
		s = next
	}
	return s
}

func putUser(name, hash string, roles, grant, revoke []string) auth.Change {
	return auth.Change{Op: auth.PutUser, Name: name, Hash: hash, Roles: roles, Grant: grant, Revoke: revoke}
}

func kv(read, write []string) *auth.Permissions { return &auth.Permissions{Read: read, Write: write} }

func putRole(name string, p, grant, revoke *auth.Permissions) auth.Change {
	c := auth.Change{Op: auth.PutRole, Name: name, GrantKeys: grant, RevokeKeys: revoke}
	if p != nil {
		c.Permissions = *p
	}
	return c
}

func texts(list ...string) []string { return append([]string{}, list...) }

// The rows of section 3 of the facts.
func TestEnableAndDisable(t *testing.T) {
	run(t, &auth.State{}, []step{
		{"no root", auth.Change{Op: auth.Enable}, "409 auth: No root user available, please create one", ""},
		{"another one with the role", putUser("u", "h", texts("root"), nil, nil), "200 u[root]", "h:u[root]"},
		{"is not root", auth.Change{Op: auth.Enable}, "409 auth: No root user available, please create one", ""},
		{"off already", auth.Change{Op: auth.Disable}, "409 auth: already disabled", ""},
		{"root", putUser("root", "h", nil, nil, nil), "201 root[root]", "h:root[root], h:u[root]"},
		{"on", auth.Change{Op: auth.Enable}, "200", "h:root[root], h:u[root], guest[/*][/*], on"},
		{"on already", auth.Change{Op: auth.Enable}, "409 auth: already enabled", ""},
		{"guest goes", auth.Change{Op: auth.DeleteRole, Name: "guest"}, "200", "h:root[root], h:u[root], on"},
		{"off", auth.Change{Op: auth.Disable}, "200", "h:root[root], h:u[root]"},
		{"and on with a new guest", auth.Change{Op: auth.Enable}, "200", "h:root[root], h:u[root], guest[/*][/*], on"},
		{"off keeps it", auth.Change{Op: auth.Disable}, "200", "h:root[root], h:u[root], guest[/*][/*]"},
		{"guest goes", auth.Change{Op: auth.DeleteRole, Name: "guest"}, "200", "h:root[root], h:u[root]"},
		{"an empty guest", putRole("guest", kv(nil, nil), nil, nil), "201 guestnullnull", "h:root[root], h:u[root], guestnullnull"},
		{"is kept", auth.Change{Op: auth.Enable}, "200", "h:root[root], h:u[root], guestnullnull, on"},
	})
}

// The rows of section 4.
func TestUsers(t *testing.T) {
	const unchanged = "400 auth: User not updated. Use grant/revoke/password to update the user."
	run(t, &auth.State{}, []step{
		{"roles without a password", putUser("u", "", texts("r"), nil, nil), "400 auth: Cannot create user u with an empty password", ""},
		{"nothing", putUser("u", "", nil, nil, nil), "400 auth: Cannot create user u with an empty password", ""},
		{"with roles", putUser("u", "h", texts("z", "a", "z"), nil, nil), "200 u[z a z]", "h:u[z a z]"},
		{"with roles again", putUser("u", "h", texts("a"), nil, nil), "409 auth: User u already exists.", ""},
		{"with roles again, without a password", putUser("u", "", texts("a"), nil, nil), "400 auth: Cannot create user u with an empty password", ""},
		{"null", putUser("v", "h", nil, nil, nil), "201 vnull", "h:u[z a z], h:vnull"},
		{"empty", putUser("w", "h", texts(), nil, nil), "201 w[]", "h:u[z a z], h:vnull, h:w[]"},
		{"null becomes empty", putUser("v", "", nil, nil, nil), "200 v[]", "h:u[z a z], h:v[], h:w[]"},
		{"once", putUser("v", "", nil, texts(), texts()), unchanged, ""},
		{"empty is empty", putUser("w", "", texts(), nil, nil), unchanged, ""},
		{"sorted once", putUser("u", "", nil, nil, nil), "200 u[a z]", "h:u[a z], h:v[], h:w[]"},
		{"a password", putUser("u", "i", nil, nil, nil), "200 u[a z]", "i:u[a z], h:v[], h:w[]"},
		{"the same hash is a change", putUser("u", "i", nil, nil, nil), "200 u[a z]", "i:u[a z], h:v[], h:w[]"},
		{"grant", putUser("u", "", nil, texts("m", "b"), nil), "200 u[a b m z]", "i:u[a b m z], h:v[], h:w[]"},
		{"grant what it has", putUser("u", "j", nil, texts("c", "a"), nil), "409 auth: Granting duplicate role a for user u", ""},
		{"grant twice", putUser("u", "", nil, texts("c", "c"), nil), "409 auth: Granting duplicate role c for user u", ""},
		{"a name is no format", putUser("u", "", nil, texts("100%", "100%"), nil), "409 auth: Granting duplicate role 100% for user u", ""},
		{"revoke what it hasn't", putUser("u", "", nil, nil, texts("a", "c")), "409 auth: Revoking ungranted role c for user u", ""},
		{"revoke twice", putUser("u", "", nil, nil, texts("a", "a")), "409 auth: Revoking ungranted role a for user u", ""},
		{"grant and revoke the same", putUser("u", "", nil, texts("c"), texts("c")), unchanged, ""},
		{"with a password it is a change", putUser("u", "j", nil, texts("c"), texts("c")), "200 u[a b m z]", "j:u[a b m z], h:v[], h:w[]"},
		{"grant before revoke", putUser("u", "", nil, texts("c"), texts("a", "b", "c", "m", "z")), "200 u[]", "j:u[], h:v[], h:w[]"},
		{"grant to nobody", putUser("x", "h", nil, texts("r"), nil), "404 auth: User x does not exist.", ""},
		{"revoke from nobody", putUser("x", "h", nil, nil, texts("r")), "404 auth: User x does not exist.", ""},
		{"delete", auth.Change{Op: auth.DeleteUser, Name: "v"}, "200", "j:u[], h:w[]"},
		{"delete again", auth.Change{Op: auth.DeleteUser, Name: "v"}, "404 auth: User v does not exist", ""},
	})
}

func TestTheUserRootHasTheRoleRoot(t *testing.T) {
	run(t, &auth.State{}, []step{
		{"listed last", putUser("root", "h", texts("guest"), nil, nil), "200 root[guest root]", "h:root[guest root]"},
		{"no change", putUser("root", "", nil, nil, nil), "400 auth: User not updated. Use grant/revoke/password to update the user.", ""},
		{"grant root", putUser("root", "", nil, texts("root"), nil), "409 auth: Granting duplicate role root for user root", ""},
		{"revoke root", putUser("root", "", nil, nil, texts("root")), "200 root[guest]", "h:root[guest root]"},
		{"and again", putUser("root", "", nil, nil, texts("root", "guest")), "200 root[]", "h:root[root]"},
	})
	on := run(t, &auth.State{}, []step{
		{"listed already", putUser("root", "h", texts("root", "x"), nil, nil), "200 root[root x]", "h:root[root x]"},
		{"on", auth.Change{Op: auth.Enable}, "200", "h:root[root x], guest[/*][/*], on"},
		{"delete while on", auth.Change{Op: auth.DeleteUser, Name: "root"}, "403 auth: Cannot delete root user while auth is enabled.", ""},
		{"off", auth.Change{Op: auth.Disable}, "200", "h:root[root x], guest[/*][/*]"},
		{"delete", auth.Change{Op: auth.DeleteUser, Name: "root"}, "200", "guest[/*][/*]"},
	})
	if !on.May(auth.Who{}, auth.Write, "", true) {
		t.Error("auth is off, and nobody may write")
	}
}

// The rows of section 5.
func TestRoles(t *testing.T) {
	const unchanged = "400 auth: Role not updated. Use grant/revoke to update the role."
	run(t, &auth.State{}, []step{
		{"put root", putRole("root", nil, nil, nil), "403 auth: Cannot modify role root: is root role.", ""},
		{"grant to root", putRole("root", nil, kv(texts("/a"), nil), nil), "403 auth: Cannot modify role root: is root role.", ""},
		{"delete root", auth.Change{Op: auth.DeleteRole, Name: "root"}, "403 auth: Cannot modify role root: is root role.", ""},
		{"create", putRole("r", kv(texts("/z", "/a", "/z"), nil), nil, nil), "201 r[/z /a /z]null", "r[/z /a /z]null"},
		{"again", putRole("r", kv(nil, nil), nil, nil), "409 auth: Role r already exists.", ""},
		{"again, with an empty grant", putRole("r", nil, kv(nil, nil), nil), "409 auth: Role r already exists.", ""},
		{"an empty grant stays", putRole("q", nil, kv(texts(), nil), nil), "201 qnullnull grant[]null", "qnullnull grant[]null, r[/z /a /z]null"},
		{"grant", putRole("r", nil, kv(texts("/b"), nil), kv(nil, nil)), "200 r[/a /b /z][]", "qnullnull grant[]null, r[/a /b /z][]"},
		{"grant a read that it has", putRole("r", nil, kv(texts("/z"), texts("/z")), nil), "409 auth: Granting duplicate read permission /z", ""},
		{"reads first", putRole("r", nil, kv(texts("/c", "/c"), texts("/d", "/d")), nil), "409 auth: Granting duplicate read permission /c", ""},
		{"grant a write twice", putRole("r", nil, kv(texts("/c"), texts("/d", "/d")), nil), "409 auth: Granting duplicate write permission /d", ""},
		{"revoke what it hasn't", putRole("r", nil, nil, kv(texts("/c"), texts("/c"))), unchanged, ""},
		{"revoke one of two", putRole("r", nil, nil, kv(texts("/c", "/b"), nil)), "200 r[/a /z][]", "qnullnull grant[]null, r[/a /z][]"},
		{"null becomes empty, and grant goes", putRole("q", nil, nil, kv(texts("/c"), nil)), "200 q[][]", "q[][], r[/a /z][]"},
		{"once", putRole("q", nil, nil, kv(texts("/c"), nil)), unchanged, ""},
		{"grant and revoke the same", putRole("q", nil, kv(texts("/c"), nil), kv(texts("/c"), nil)), unchanged, ""},
		{"grant to none", putRole("x", nil, kv(texts("/c"), nil), nil), "404 auth: Role x does not exist.", ""},
		{"revoke from none", putRole("x", nil, nil, kv(texts("/c"), nil)), "404 auth: Role x does not exist.", ""},
		{"delete", auth.Change{Op: auth.DeleteRole, Name: "q"}, "200", "r[/a /z][]"},
		{"delete again", auth.Change{Op: auth.DeleteRole, Name: "q"}, "404 auth: Role q doesn't exist.", ""},
	})
}

func TestInitIsAllOrNothing(t *testing.T) {
	run(t, &auth.State{}, []step{
		{"without a password", auth.Change{Op: auth.Init}, "400 auth: Cannot create user root with an empty password", ""},
		{"an open guest", putRole("guest", kv(texts("/*"), nil), nil, nil), "201 guest[/*]null", "guest[/*]null"},
		{"is closed", auth.Change{Op: auth.Init, Hash: "h"}, "200", "h:root[root], guest[][], on"},
		{"once", auth.Change{Op: auth.Init, Hash: "i"}, "409 auth: already enabled", ""},
		{"off", auth.Change{Op: auth.Disable}, "200", "h:root[root], guest[][]"},
		{"with a root", auth.Change{Op: auth.Init, Hash: "i"}, "409 auth: User root already exists.", ""},
	})
}

func TestWhatListsShow(t *testing.T) {
	s := run(t, &auth.State{}, []step{
		{"a", putUser("a", "h", texts("x", "gone", "root", "also"), nil, nil), "200 a[x gone root also]", "h:a[x gone root also]"},
		{"_b", putUser("_b", "h", nil, nil, nil), "201 _bnull", "h:_bnull, h:a[x gone root also]"},
		{"x", putRole("x", nil, nil, nil), "201 xnullnull", "h:_bnull, h:a[x gone root also], xnullnull"},
		{"_y", putRole("_y", nil, nil, nil), "201 _ynullnull", "h:_bnull, h:a[x gone root also], _ynullnull, xnullnull"},
		{"b", putRole("b", nil, nil, nil), "201 bnullnull", "h:_bnull, h:a[x gone root also], _ynullnull, bnullnull, xnullnull"},
	})
	var shown []string
	for _, u := range s.ListedUsers() {
		shown = append(shown, user(u))
	}
	for _, r := range s.ListedRoles() {
		shown = append(shown, role(r))
	}
	if want := []string{"a[x gone root also]", "bnullnull", "root[/*][/*]", "xnullnull"}; !slices.Equal(shown, want) {
		t.Errorf("lists show %q, want %q", shown, want)
	}
	a, ok := s.User("a")
	roles, missing, whole := s.RolesOf(a)
	if !ok || len(roles) != 2 || roles[0].Name != "x" || roles[1].Name != "root" || missing != "gone" || whole {
		t.Errorf("a has %v, and %q is missing: %v", roles, missing, !whole)
	}
	if _, ok := s.User("_b"); !ok {
		t.Error("_b can't be looked up")
	}
	for got, want := range map[string]auth.Outcome{"404 auth: User u does not exist.": auth.NoUser("u"), "404 auth: Role r does not exist.": auth.NoRole("r")} {
		if outcome(&want) != got {
			t.Errorf("%s, want %s", outcome(&want), got)
		}
	}
}

// What the memory has room for is bounded, and what takes some away still works.
func TestUsersAndRolesTakeABoundedAmountOfMemory(t *testing.T) {
	s := &auth.State{}
	big := strings.Repeat("x", auth.ChangeLimit-100)
	full := auth.Outcome{}
	for i := 0; !full.Refused() && i < 100; i++ {
		c := putRole(fmt.Sprint(i), kv(texts(big), nil), nil, nil)
		s, full = s.Apply(&c)
	}
	if _, roles := auth.All(s); len(roles) != 63 || outcome(&full) != "403 auth: Users and roles have no room left." {
		t.Errorf("after %d MiB: %s", len(roles), outcome(&full))
	}
	for _, c := range []auth.Change{putRole("0", nil, nil, kv(texts(big), nil)), {Op: auth.DeleteRole, Name: "1"}, putUser("u", "h", nil, nil, nil)} {
		next, out := s.Apply(&c)
		if out.Refused() {
			t.Errorf("refused: %s", outcome(&out))
		}
		s = next
	}
}
