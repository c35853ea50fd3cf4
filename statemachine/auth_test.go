package statemachine_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"copse/statemachine"
	"copse/statemachine/auth"
	"copse/statemachine/tree"

	sm "github.com/lni/dragonboat/v4/statemachine"
)

func authCommand(c auth.Change) tree.Command {
	return tree.Command{Op: tree.OpAuth, Key: "/", Value: c.Append(nil)}
}

func putUser(name, hash string, roles ...string) tree.Command {
	return authCommand(auth.Change{Op: auth.PutUser, Name: name, Hash: hash, Roles: roles})
}

func putRole(name string, read ...string) tree.Command {
	return authCommand(auth.Change{Op: auth.PutRole, Name: name, Permissions: auth.Permissions{Read: read}})
}

// outcomes applies the commands as one entry, and returns what became of them.
func outcomes(t *testing.T, m *statemachine.Machine, at uint64, commands ...tree.Command) (all []auth.Outcome) {
	t.Helper()
	for _, r := range do(t, m, at, commands...) {
		out, err := auth.ReadOutcome(r.Outcome)
		if err != nil || r.Err != nil || r.JSON != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		all = append(all, out)
	}
	return all
}

// Each of several changes in one entry is carried out on what those before it have made,
// and has an outcome of its own. None takes an index.
func TestEveryChangeOfUsersHasItsOutcome(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	grant := authCommand(auth.Change{Op: auth.PutUser, Name: "u", Grant: []string{"r"}})
	got := outcomes(t, m, 1, grant, putUser("u", "h"), grant, grant)
	want := []auth.Outcome{
		{Kind: auth.NotFound, Message: "auth: User u does not exist."},
		{Kind: auth.Created, User: &auth.User{Name: "u"}},
		{Kind: auth.OK, User: &auth.User{Name: "u", Roles: []string{"r"}}},
		{Kind: auth.Conflict, Message: "auth: Granting duplicate role r for user u"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("outcomes %+v\nwant %+v", got, want)
	}
	if m.Index() != 0 || m.Nodes() != 0 || m.Stats() != (tree.Stats{}) {
		t.Errorf("index %d, %d nodes, %+v", m.Index(), m.Nodes(), m.Stats())
	}
	if u, ok := m.Auth().User("u"); !ok || u.Hash != "h" || !reflect.DeepEqual(u.Roles, []string{"r"}) {
		t.Errorf("the user is %+v", u)
	}
}

func TestUsersAreKept(t *testing.T) {
	dir := t.TempDir()
	m := mustNew(t, dir)
	if shown(m.Auth()) != shown(&auth.State{}) {
		t.Fatalf("at first there is\n%s", shown(m.Auth()))
	}
	do(t, m, 1, founding(7, 1))
	outcomes(t, m, 2, authCommand(auth.Change{Op: auth.Init, Hash: "h"}), putUser("gone", "h"), putUser("u", "h", "r", "s"), putRole("r", "/a/*"), putRole("gone"))
	outcomes(t, m, 3, putRole("s", "/s"), authCommand(auth.Change{Op: auth.DeleteUser, Name: "gone"}), authCommand(auth.Change{Op: auth.DeleteRole, Name: "gone"}))
	outcomes(t, m, 4, authCommand(auth.Change{Op: auth.PutUser, Name: "u", Hash: "new"}), putRole("\x00 ü"), authCommand(auth.Change{Op: auth.DeleteRole, Name: "guest"}))
	before := m.Auth()
	u, _ := before.User("u")
	if _, ok := before.Role("guest"); ok || !before.Enabled || u.Hash != "new" || !before.May(auth.TheUser("u"), auth.Read, "/a/b", true) {
		t.Fatalf("there is\n%s", shown(before))
	}
	same := func(what string, m *statemachine.Machine) {
		t.Helper()
		if got, want := shown(m.Auth()), shown(before); got != want {
			t.Errorf("%s:\n%s, want\n%s", what, got, want)
		}
	}
	image := dump(t, m)
	mustClose(t, m)
	m = mustNew(t, dir)
	same("after a restart", m)
	if err := m.Renew(statemachine.Renewal{Members: []tree.Member{{ID: 1}}}); err != nil {
		t.Fatal(err)
	}
	same("in a new generation", m)
	mustClose(t, m)

	other := mustNew(t, t.TempDir())
	defer mustClose(t, other)
	outcomes(t, other, 1, putUser("stranger", "h"))
	rings(other.AuthChanged())
	if err := other.RecoverFromSnapshot(bytes.NewReader(image), nil); err != nil {
		t.Fatal(err)
	}
	same("from a snapshot", other)
	if !rings(other.AuthChanged()) {
		t.Error("a snapshot came in silently")
	}
	if !bytes.Equal(dump(t, other), image) {
		t.Error("the copy's snapshot is another one")
	}
}

// shown prints all of a state that has no hidden names.
func shown(s *auth.State) string {
	text := fmt.Sprintln(s.Enabled)
	for _, u := range s.ListedUsers() {
		text += fmt.Sprintf("%#v\n", *u)
	}
	for _, r := range s.ListedRoles() {
		text += fmt.Sprintf("%#v\n", *r)
	}
	return text
}

func TestTheBellRingsForChangesOfUsers(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	rings(m.AuthChanged()) // it may, at the start
	for i, c := range []struct {
		name string
		cmd  tree.Command
		want bool
	}{
		{"a user", putUser("u", "h"), true},
		{"a refusal", putUser("u", "h", "r"), false},
		{"a key", tree.Command{Op: tree.OpSet, Key: "/k"}, false},
		{"members", founding(3, 1), false},
		{"init", authCommand(auth.Change{Op: auth.Init, Hash: "h"}), true},
	} {
		do(t, m, uint64(i+1), c.cmd)
		if got := rings(m.AuthChanged()); got != c.want {
			t.Errorf("%s: the bell rings: %v", c.name, got)
		}
	}
}

// With several shards the order shard has the users. Its indexes are not touched, and a
// data shard takes no such change.
func TestTheOrderShardHasTheUsers(t *testing.T) {
	order := mustOpen(t, orderOptions(), t.TempDir(), nil)
	defer mustClose(t, order)
	if out := outcomes(t, order, 1, putUser("u", "h")); out[0].Kind != auth.Created || order.Index() != 0 {
		t.Errorf("%+v, and index %d", out, order.Index())
	}
	data := mustOpen(t, dataOptions(1), t.TempDir(), nil)
	defer mustClose(t, data)
	if r := do(t, data, 1, putUser("u", "h")); r[0].Err == nil || shown(data.Auth()) != shown(&auth.State{}) {
		t.Errorf("a data shard answers %+v, and has %+v", r, shown(data.Auth()))
	}
}

func TestAChangeOfUsersThatCantBeReadStopsTheReplica(t *testing.T) {
	m := mustNew(t, t.TempDir())
	defer mustClose(t, m)
	good := auth.Change{Op: auth.Enable}
	newer := append([]byte{200}, good.Append(nil)[1:]...)
	c := tree.Command{Op: tree.OpAuth, Key: "/", Value: newer}
	_, err := m.Update([]sm.Entry{{Index: 1, Cmd: tree.AppendCommand(tree.AppendBatch(nil, replica, 1), &c)}})
	if err == nil || !strings.Contains(err.Error(), "a newer version of copse") {
		t.Errorf("it went on: %v", err)
	}
}
