package compat

import (
	"slices"
	"strings"
	"testing"

	"copse/bench/peer"
)

// ownWords are lines on which copse's client commands exit with etcdctl's code, but say in
// their own words what is wrong, and nothing on standard output.
var ownWords = slices.Concat(wrongCalls, []string{
	"member update", "member remove", "-u root:pw member remove nothing", "member add n2 http://127.0.0.1:1",
	"user add", "role add", "role grant --path /bar r", "role grant --path no-slash --read r", "user grant u",
	"role list", "-u u:secret role list",
})

// wrongCalls are mistakes.
var wrongCalls = []string{
	"get", "set", "rm", "mkdir", "ls --nothing", "set --ttl x /a b", "-o json --nothing get /a", "watch --after-index x /a", "user list x", "role grant --read r",
	"--endpoints http://127.0.0.1:1 get /a", "--endpoints http://127.0.0.1:1 member list", "--no-sync --endpoints http://127.0.0.1:1 set /a b", "--endpoints http://127.0.0.1:1 watch /a",
	"--cert-file none get /a", "exec-watch /a",
}

// otherwise are lines that mean something else to copse: see docs/COMMANDS.md.
var otherwise = []string{
	"member nothing",
	"user grant --roles a --roles b u", // etcdctl takes the last, and the next for one role
	"user grant --roles a,b u",
	"user revoke --roles a --roles b --roles a,b u",
	"user revoke --roles a u",
	"user passwd u", // etcdctl calls stty, which complains without a terminal
}

// moreCalls are of what scripts do beside etcdctlCalls.
var moreCalls = []string{
	"set /c v", "rm --with-value v /c", "set /c v", "-o extended rm --with-value v /c", "-o json mkdir /cd", "set /cd/x 1", "-o extended rm -r /cd",
	"mkdir /cd", "-o json rm --dir /cd", "-output json set /flag v", "set /flag -x", "set /flag -- -y", "set -- /flag -z", "set /flag --ttl 50 w", "-o extended get /flag",
	"mk /flag/below -x", "get /flag -q", "ls / -p --sort", "set '/a b?#%&+' v", "get '/a b?#%&+'", "ls --sort", "get ''", "get /", "setdir /", "rm -r /",
	"-o json set /html '<&>\"'", "set /empty ''", "get /empty", "update /flag --ttl 0 x", "--debug=false get /flag", "get --quorum=false /flag", "ls /flag/", "get //flag",
}

// The same lines, by etcdctl and by copse, against etcd.
func TestCommandsAreEtcdctls(t *testing.T) {
	t.Parallel()
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{slices.Concat(etcdctlCalls, directoryCalls), moreCalls, wrongCalls, etcdctlAuthCalls} {
		reference := newCtl(t, peer.Etcd34, 1)
		other := newCtlOf(t, binary, peer.Etcd34, 1)
		for _, line := range list {
			const stdin = "secret\n"
			if !slices.Contains(otherwise, line) {
				compareLine(t, line, reference.run(line, stdin), other.run(line, stdin))
			}
		}
	}
}

func compareLine(t *testing.T, line, want, got string) {
	t.Helper()
	if same([]string{want}, []string{got}) {
		return
	}
	if slices.Contains(ownWords, line) {
		wantCode, _, _ := strings.Cut(want, "\n")
		if code, said, _ := strings.Cut(got, "\n"); code == wantCode && said != "" {
			return
		}
	}
	t.Errorf("copse %s\ngot\n%s\nwant\n%s", line, got, want)
}

func TestCommandsWatchAsEtcdctl(t *testing.T) {
	t.Parallel()
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	reference := newCtl(t, peer.Etcd34, 1)
	other := newCtlOf(t, binary, peer.Etcd34, 1)
	for _, w := range etcdctlWatches {
		want, got := reference.watching(w.line, w.lines, w.changes...), other.watching(w.line, w.lines, w.changes...)
		if !same([]string{want}, []string{got}) {
			t.Errorf("%s: copse %s\ngot\n%s\nwant\n%s", w.name, w.line, got, want)
		}
	}
}
