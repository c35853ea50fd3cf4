package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"
)

func TestLineupHasEveryServerInItsPlace(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args        string
		want        []string // names without the limits
		ratios      string
		judged, err string
	}{
		{args: "", want: []string{"copse", "etcd35"}, ratios: "copse:etcd35", judged: "copse"},
		{args: "-servers etcd35", want: []string{"etcd35"}},
		{args: "-servers copse+race,etcd34", want: []string{"copse+race", "etcd34"}, ratios: "copse+race:etcd35", judged: "copse+race"},
		{args: "-copse old=SELF -copse new=SELF", want: []string{"old", "new", "etcd35"},
			ratios: "old:etcd35 new:etcd35 new:old", judged: "new"},
		{args: "-copse new=SELF -servers copse", want: []string{"new"}, ratios: "new:etcd35", judged: "new"},
		{args: "-copse new=SELF -copse new=SELF", err: "two servers"},
		{args: "-copse etcd35=SELF", err: "two servers"},
		{args: "-copse SELF", err: "NAME=PATH"},
		{args: "-copse =SELF", err: "NAME=PATH"},
		{args: "-copse new=/no/such/copse", err: "no such file"},
	} {
		var l lineup
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		l.flags(flags)
		err := flags.Parse(strings.Fields(strings.ReplaceAll(test.args, "SELF", self)))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: got %v, want %q", test.args, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		if got := l.names(); !slices.Equal(got, append(test.want, bareName, raftName)) {
			t.Errorf("%s: names %q", test.args, got)
		}
		var ratios []string
		for _, p := range l.pairs() {
			if p.under != bareName && p.under != raftName {
				ratios = append(ratios, p.over+":"+p.under)
			}
		}
		if got := strings.Join(ratios, " "); got != test.ratios || l.judged() != test.judged {
			t.Errorf("%s: ratios %q, judged %q", test.args, got, l.judged())
		}
	}
}

func TestTableComparesSeveralCopses(t *testing.T) {
	l := lineup{kinds: []peer.Kind{peer.Copse, peer.Etcd35}, built: []contender{{"old", "copse=a"}, {"new", "copse=b"}}}
	b := &comparison{
		workload: workload{name: "work", value: 10, targets: targets{rateAtLeast: 1.5, writtenAtMost: 2.5}},
		readings: map[string][]reading{
			"old":    {{rate: 100, written: 40}},
			"new":    {{rate: 200, written: 20}},
			"etcd35": {{rate: 50, written: 10}},
		},
	}
	got := requestTable(l, []*comparison{b})
	for _, want := range []string{
		"| **work** | old | 100 |", "| | old : etcd35 | 2.00 |", "| | new : etcd35 | 4.00 |", "| | new : old | 2.00 |",
		"| 4.00 | 0.0 MiB |", "requests/s ≥ 1.50: 4.00, met", "written/byte ≤ 2.50: 2.00, met",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// The command works with real servers; its figures mean nothing.
func TestRequestsComparesPrograms(t *testing.T) {
	binary, err := peer.Binary(peer.Copse)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	err = requests([]string{"-servers", "copse", "-copse", "old=" + binary, "-copse", "new=" + binary, "-only", "get-1$|put-4k|swap",
		"-limits=false", "-rounds", "1", "-warm", "50ms", "-d", "200ms", "-pictures", dir})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "latency-put-4k.svg"))
	if err != nil || !strings.Contains(string(text), ">old<") || !strings.Contains(string(text), ">new<") {
		t.Errorf("%v, or no legend in the picture", err)
	}
}

// A run that is measured by requests counts only those of its second half.
func TestRunByRequests(t *testing.T) {
	_, address := startStub(t, false)
	c, err := connect(address, 3, 1, puts(address, 10))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	warm, measured := workload{each: 7}.spans(c, requestOptions{})
	for _, half := range []func() (time.Duration, error){warm, measured} {
		if took, err := half(); err != nil || took <= 0 || c.answered != 21 {
			t.Errorf("%d answers in %v, %v", c.answered, took, err)
		}
	}
}

func TestWrittenBytes(t *testing.T) {
	const text = "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n"
	if got, err := parseWritten(text); got != 6 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	for _, bad := range []string{"", "cancelled_write_bytes: 7\n", "write_bytes: many\n"} {
		if got, err := parseWritten(bad); err == nil {
			t.Errorf("%q: got %d", bad, got)
		}
	}
}
