package compat

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"

	"go.etcd.io/etcd/client/v2"
)

// etcdctlAuthCalls are run in this order; each must print the same everywhere. Without
// a terminal etcdctl reads passwords from standard input.
var etcdctlAuthCalls = []string{
	"user list",
	"role list",
	"role get root",
	"auth enable",
	"auth disable",
	"user add root:pw",
	"user add root:again",
	"user add u:secret",
	"user add",
	"user list",
	"user get root",
	"user get u",
	"user get missing",
	"role add r",
	"role add r",
	"role add root",
	"role add",
	"role get r",
	"role get missing",
	"role grant --path /foo/* --readwrite r",
	"role grant --path /foo/* --read r",
	"role grant --path /bar --write r",
	"role grant --path /bar r",
	"role grant --path no-slash --read r",
	"role grant --path /x --read missing",
	"role grant --path /x --read root",
	"role revoke --path /bar --write r",
	"role revoke --path /bar --write r",
	"role get r",
	"role list",
	"user grant --roles r u",
	"user grant --roles r u",
	"user grant --roles a --roles b u",
	"user grant --roles a,b u",
	"user grant u",
	"user grant --roles r missing",
	"user get u",
	"user revoke --roles a --roles b --roles a,b u",
	"user revoke --roles a u",
	"user get u",
	"user passwd u",
	"user list",
	"set /bar before",
	"auth enable",
	"auth enable",
	"-u root:pw auth enable",
	"role list",
	"user list",
	"get /bar",
	"-u root:pw role get guest",
	"-u root:pw role revoke --path /* --readwrite guest",
	"get /bar",
	"ls",
	"set /foo/a 1",
	"rm /bar",
	"mk --in-order /foo 1",
	"-u u:secret set /foo/a 1",
	"-u u:secret get /foo/a",
	"-u u:secret mk --in-order /foo/q 1",
	"-u u:secret ls /foo",
	"-u u:secret ls --sort /foo/",
	"-u u:secret ls --recursive /foo",
	"-u u:secret get /bar",
	"-u u:secret user list",
	"-u u:secret role list",
	"-u u:secret auth disable",
	"-u u:wrong get /foo/a",
	"-u nobody:pw get /foo/a",
	"-u root:pw ls --recursive --sort /",
	"-u root:pw user get u",
	"-u root:pw cluster-health",
	"member list",
	"member add n2 http://127.0.0.1:1",
	"-u root:pw member remove nothing",
	"-u root:pw role remove r",
	"-u root:pw role remove r",
	"-u root:pw role remove root",
	"-u root:pw user remove u",
	"-u root:pw user remove u",
	"-u root:pw user remove root",
	"-u root:pw auth disable",
	"user remove root",
	"user list",
	"get /bar",
}

func TestEtcdctlAuth(t *testing.T) {
	t.Parallel()
	const stdin = "secret\n"
	reference := newCtl(t, peer.Etcd34, 1)
	var want []string
	for _, line := range etcdctlAuthCalls {
		want = append(want, reference.run(line, stdin))
	}
	peer.EachShards(t, peer.Kind(*candidate), func(t *testing.T, shards int) {
		other := newCtl(t, peer.Kind(*candidate), shards)
		if other.ranks == nil && other.server.Kind.IsCopse() {
			other.ranks = &ranks{} // "auth-index"
			other.ranks.bind(founded, founded)
		}
		for i, line := range etcdctlAuthCalls {
			got := other.ranked(want[i], other.run(other.local(line), stdin))
			if !same([]string{want[i]}, []string{got}) {
				t.Errorf("etcdctl %s\ngot\n%s\nwant\n%s", line, got, want[i])
			}
		}
	})
}

// TestGuide runs the commands of docs/AUTH.md, which have to print what it says.
func TestGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/AUTH.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []peer.Kind{peer.Etcd34, peer.Kind(*candidate)} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			peer.EachShards(t, kind, func(t *testing.T, shards int) { followGuide(t, string(text), newCtl(t, kind, shards)) })
		})
	}
}

// The guide's lines are good for copse too, in place of etcdctl.
func TestGuideByCopse(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/AUTH.md")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	followGuide(t, strings.ReplaceAll(string(text), "$ etcdctl ", "$ "+binary+" "), newCtlOf(t, binary, peer.Copse, 1))
}

func followGuide(t *testing.T, text string, c *ctl) {
	const indent, prompt, here = "    ", "$ ", "http://127.0.0.1:2379"
	lines, commands := strings.Split(text, "\n"), 0
	for i := 0; i < len(lines); i++ {
		command, found := strings.CutPrefix(lines[i], indent+prompt)
		if !found {
			continue
		}
		commands++
		var want strings.Builder
		for ; i+1 < len(lines) && strings.HasPrefix(lines[i+1], indent) && !strings.HasPrefix(lines[i+1], indent+prompt); i++ {
			want.WriteString(lines[i+1][len(indent):] + "\n")
		}
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, here, c.server.URL))
		cmd.Env = append(c.command("").Env, "ETCDCTL_ENDPOINTS="+c.server.URL)
		out, _ := cmd.CombinedOutput() // what is refused is part of the guide
		if string(out) != want.String() {
			t.Errorf("%s\nprints\n%s\nwant\n%s", command, out, want.String())
		}
	}
	if commands == 0 {
		t.Error("docs/AUTH.md has no commands")
	}
}

// TestClientAuth uses what etcd's Go client has for users, roles and the flag.
func TestClientAuth(t *testing.T) {
	eachKind(t, func(t *testing.T, kind peer.Kind, shards int) {
		c, keys, s := newClient(t, kind, shards)
		root, rootKeys := loggedIn(t, s, "root", "pw")
		_, userKeys := loggedIn(t, s, "u", "p")
		ctx := within(t)
		users, roles, auth := client.NewAuthUserAPI(c), client.NewAuthRoleAPI(c), client.NewAuthAPI(c)
		must := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		refused := func(what string, err error, message string) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: got %v, want %q", what, err, message)
			}
		}
		refused("enable", auth.Enable(ctx), "auth: No root user available, please create one")
		must("add root", users.AddUser(ctx, "root", "pw"))
		must("add u", users.AddUser(ctx, "u", "first"))
		must("add r", roles.AddRole(ctx, "r"))
		role, err := roles.GrantRoleKV(ctx, "r", []string{"/r/*", "/d*"}, client.ReadWritePermission)
		must("grant keys", err)
		if kv := role.Permissions.KV; !slices.Equal(kv.Read, []string{"/d*", "/r/*"}) || !slices.Equal(kv.Write, kv.Read) {
			t.Errorf("the role has %v", kv)
		}
		_, err = roles.GrantRoleKV(ctx, "r", []string{"/d*"}, client.WritePermission)
		refused("grant again", err, "auth: Granting duplicate write permission /d*")
		_, err = roles.RevokeRoleKV(ctx, "r", []string{"/d*"}, client.ReadWritePermission)
		must("revoke keys", err)
		user, err := users.GrantUser(ctx, "u", []string{"r"})
		must("grant role", err)
		if !slices.Equal(user.Roles, []string{"r"}) {
			t.Errorf("the user has %v", user.Roles)
		}
		_, err = users.RevokeUser(ctx, "u", []string{"s"})
		refused("revoke role", err, "auth: Revoking ungranted role s for user u")
		_, err = users.ChangePassword(ctx, "u", "p")
		must("change password", err)
		must("enable", auth.Enable(ctx))
		refused("enable again", client.NewAuthAPI(root).Enable(ctx), "auth: already enabled")

		rootRoles := client.NewAuthRoleAPI(root)
		_, err = rootRoles.RevokeRoleKV(ctx, "guest", []string{"/*"}, client.ReadWritePermission)
		must("close guest", err)
		_, err = userKeys.Set(ctx, "/r/k", "v", nil)
		must("the user writes", err)
		_, err = userKeys.Get(ctx, "/s", nil)
		if code(err) != client.ErrorCodeUnauthorized {
			t.Errorf("the user reads elsewhere: %v", err)
		}
		if _, err = keys.Get(ctx, "/r/k", nil); code(err) != client.ErrorCodeUnauthorized {
			t.Errorf("the guest reads: %v", err)
		}
		if _, err = keys.Watcher("/r", nil).Next(ctx); code(err) != client.ErrorCodeUnauthorized {
			t.Errorf("the guest watches: %v", err)
		}
		_, err = rootKeys.Get(ctx, "/", &client.GetOptions{Recursive: true})
		must("root reads", err)
		_, err = users.ListUsers(ctx)
		refused("the guest lists users", err, "Insufficient credentials")
		list, err := client.NewAuthUserAPI(root).ListUsers(ctx)
		must("list users", err)
		names, err := rootRoles.ListRoles(ctx)
		must("list roles", err)
		if !slices.Equal(list, []string{"root", "u"}) || !slices.Equal(names, []string{"guest", "r", "root"}) {
			t.Errorf("users %v, roles %v", list, names)
		}
		must("remove r", rootRoles.RemoveRole(ctx, "r"))
		if _, err = userKeys.Get(ctx, "/r/k", nil); code(err) != client.ErrorCodeUnauthorized {
			t.Errorf("the user reads without its role: %v", err)
		}
		must("remove u", client.NewAuthUserAPI(root).RemoveUser(ctx, "u"))
		refused("remove root", client.NewAuthUserAPI(root).RemoveUser(ctx, "root"), "auth: Cannot delete root user while auth is enabled.")
		must("disable", client.NewAuthAPI(root).Disable(ctx))
		_, err = keys.Get(ctx, "/r/k", nil)
		must("all read", err)
	})
}

// loggedIn is a client with a user's name and password.
func loggedIn(t *testing.T, s *peer.Server, user, password string) (client.Client, client.KeysAPI) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{Endpoints: []string{s.URL}, Transport: cancellable{transport}, Username: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return c, client.NewKeysAPI(c)
}

// TestPythonAuth runs testdata/auth.py, which uses python-etcd's users and roles.
func TestPythonAuth(t *testing.T) {
	t.Parallel()
	run := func(kind peer.Kind, shards int) string {
		t.Helper()
		s := peer.Start(t, kind, append(serverArgs("", kind), peer.Sharded(kind, shards)...)...)
		ctx, cancel := context.WithTimeout(context.Background(), 4*answerLimit)
		defer cancel()
		_, port, _ := strings.Cut(s.Address, ":")
		out, err := exec.CommandContext(ctx, "/usr/bin/python3", "testdata/auth.py", port).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: apt-get install python3-etcd\n%s", kind, err, out)
		}
		return string(out)
	}
	want := run(peer.Etcd34, 1)
	peer.EachShards(t, peer.Kind(*candidate), func(t *testing.T, shards int) {
		if got := run(peer.Kind(*candidate), shards); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
	if lines := strings.Count(want, "\n"); lines < 20 {
		t.Error(fmt.Sprint("only ", lines, " lines: ", want))
	}
}
