package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copse runs one command to its end.
func copse(args ...string) (code int, stdout, stderr string) {
	var out, complaint bytes.Buffer
	code = run(context.Background(), args, nil, &out, &complaint)
	return code, out.String(), complaint.String()
}

// breakValue changes one byte of a value where the raft log of a data directory holds it.
func breakValue(t *testing.T, dir, value string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "raft/*/*/log/*.log"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	at := bytes.Index(b, []byte(value))
	if err != nil || at < 0 {
		t.Fatalf("%q is not in the log: %v", value, err)
	}
	b[at] ^= 1
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestADamagedRaftLogIsNeverServed: one byte of the fifteenth of thirty values that were
// acknowledged, after a kill.
func TestADamagedRaftLogIsNeverServed(t *testing.T) {
	dir := t.TempDir()
	p := startProcess(t, dir)
	web := client(t)
	w := &program{t: t, client: p.client}
	for i := range 30 {
		if status, body := w.do(web, "PUT", fmt.Sprintf("/v2/keys/k%d", i), url.Values{"value": {fmt.Sprintf("<value %02d>", i)}}); status != 201 {
			t.Fatal(status, body)
		}
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	restart(t, p.client, p.cmd.Args[1:]).stop() // the store has it all
	breakValue(t, dir, "<value 15>")
	for range 2 { // a start that is refused changes nothing
		again := launch(t, p.client, append(p.cmd.Args[1:], "--log-format=json"))
		again.refused(exitCorrupt, "the raft log is damaged")
		if n := strings.Count(again.log.String(), `"level":"ERROR"`); n != 1 {
			t.Errorf("%d lines of error:\n%s", n, again.log)
		}
	}

	code, out, complaint := copse("raftlog", "inspect", "--data-dir", dir)
	_, place, found := strings.Cut(strings.TrimSpace(complaint), "copse raftlog cut ")
	if code != exitCorrupt || !found || !strings.Contains(out, "shard 1, member ") {
		t.Fatalf("inspect: %d\n%s\n%s", code, out, complaint)
	}
	if code, _, complaint := copse("raftlog", "cut", "--data-dir", dir, "1:1"); code != exitFailed || !strings.Contains(complaint, "not at 1:1") {
		t.Errorf("cut elsewhere: %d %s", code, complaint)
	}
	if code, out, complaint := copse("raftlog", "cut", "--data-dir", dir, place); code != 0 {
		t.Fatalf("cut: %d\n%s\n%s", code, out, complaint)
	}
	if code, out, complaint := copse("raftlog", "inspect", "--data-dir", dir); code != 0 {
		t.Errorf("inspect: %d\n%s\n%s", code, out, complaint)
	}
	// The store holds what the log has lost.
	again := launch(t, p.client, p.cmd.Args[1:])
	again.refused(exitCorrupt, "its store holds entry")
	again = restart(t, p.client, append(p.cmd.Args[1:], "--force-new-cluster"))
	defer again.stop()
	for i := range 30 {
		if status, body := again.do(web, "GET", fmt.Sprintf("/v2/keys/k%d", i), nil); status != 200 {
			t.Errorf("k%d: %d %s", i, status, body)
		}
	}
}

func TestWhoLooksAtALogIsToldWhatIsWrong(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		line string
	}{
		{[]string{"raftlog", "inspect", "--data-dir", empty}, exitFailed, "no data directory of copse's"},
		{[]string{"raftlog", "cut", "--data-dir", empty}, exitUsage, "needs one place"},
		{[]string{"raftlog", "cut", "--data-dir", empty, "here"}, exitFailed, `"here" is not a place`},
	} {
		if code, _, complaint := copse(c.args...); code != c.code || !strings.Contains(complaint, c.line) {
			t.Errorf("%v: %d %s", c.args, code, complaint)
		}
	}
	p := start(t, empty)
	defer p.stop()
	if code, _, complaint := copse("raftlog", "inspect", "--data-dir", empty); code != exitLocked || !strings.Contains(complaint, "in use") {
		t.Errorf("of a server that runs: %d %s", code, complaint)
	}
}

// TestADamagedMemberNeverSpoilsTheOthers: it is one of the two that acknowledged what the
// third hasn't seen.
func TestADamagedMemberNeverSpoilsTheOthers(t *testing.T) {
	c := newTrio(t, "http")
	var members [3]*process
	for i := range members {
		members[i] = launchProcess(t, c.clients[i], c.args[i])
	}
	for _, p := range members {
		p.await("ready to serve")
	}
	members[2].stop()
	a := &program{t: t, client: c.clients[0]}
	for i := range 30 {
		if status, body := a.put(fmt.Sprintf("/v2/keys/k%d", i), fmt.Sprintf("<value %02d>", i)); status != 201 {
			t.Fatal(status, body)
		}
	}
	for _, p := range members[:2] {
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.ended
	}
	breakValue(t, strings.TrimPrefix(c.args[0][1], "--data-dir="), "<value 15>")
	launch(t, c.clients[0], c.args[0]).refused(exitCorrupt, "the raft log is damaged")

	b, third := launch(t, c.clients[1], c.args[1]), launch(t, c.clients[2], c.args[2])
	for _, p := range []*program{b, third} {
		p.awaitLog("ready to serve")
	}
	for i := range 30 {
		if status, body := third.do(client(t), "GET", fmt.Sprintf("/v2/keys/k%d?quorum=true", i), nil); status != 200 {
			t.Errorf("k%d: %d %s", i, status, body)
		}
	}
	launch(t, c.clients[0], c.args[0]).refused(exitCorrupt, "the raft log is damaged")
	third.stop()
	b.stop()
}
