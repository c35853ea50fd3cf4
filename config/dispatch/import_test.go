package dispatch_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"copse/config"
	"copse/config/command"
	"copse/config/dispatch"
	"copse/statemachine/etcddir/etcddirtest"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run carries out a command line.
func run(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	work, code := command.Run(command.Line{Args: args, Like: "2.3.8", MaxShards: 8, CacheSize: 128 << 20, Stdout: &b, Stderr: &b})
	if work == nil {
		return code, b.String()
	}
	return dispatch.Run(context.Background(), work, nil, &b, &b), b.String()
}

func TestTheIndexOfADamagedDirectoryIsRaisedOnce(t *testing.T) {
	dir := etcddirtest.Unpack(t, "etcd-2.3.8-single")
	log := filepath.Join(dir, "member", "wal", "0000000000000000-0000000000000000.wal")
	data, err := os.ReadFile(log)
	check(t, err)
	data[len(bytes.TrimRight(data, "\x00"))/2] ^= 1
	check(t, os.WriteFile(log, data, 0o600))
	code, out := run(t, "import", dir, "--take-what-is-sound", "--data-dir", filepath.Join(t.TempDir(), "data"))
	var index uint64
	_, above, _ := strings.Cut(out, "copse goes on above ")
	_, err = fmt.Sscan(above, &index)
	if code != config.ExitPartial || err != nil || index < 1_000_000 || !strings.Contains(out, fmt.Sprintf(", index %d, term", index)) {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestADirectoryWithDataIsRefusedAlike(t *testing.T) {
	dir := etcddirtest.Unpack(t, "etcd-2.3.8-single")
	data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"import", dir, "--data-dir", data}, {"import", dir, "--out", file}} {
		if code, out := run(t, args...); code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, code, out)
		}
	}
	for _, args := range [][]string{{"import", dir, "--data-dir", data}, {"restore", file, "--data-dir", data}} {
		if code, out := run(t, args...); code != config.ExitPartial || !strings.Contains(out, "has data already") {
			t.Errorf("%q: exit code %d: %s", args, code, out)
		}
	}
}

// What an operand names wrongly, and a file that is there, are said before anything is read.
func TestWhatAnImportCannotDoIsSaidAtOnce(t *testing.T) {
	there := filepath.Join(t.TempDir(), "there")
	check(t, os.WriteFile(there, nil, 0o600))
	for want, args := range map[string][]string{
		"/nope: no such directory":                              {"import", "/nope", "--dry-run"},
		"there exists already: remove it, or give another name": {"import", filepath.Dir(there), "--out", there},
	} {
		if code, out := run(t, args...); code != 2 || !strings.Contains(out, want) {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
}
