package cluster_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/bench/cluster"
	"copse/bench/peer"
)

func TestScheduleIsReplayable(t *testing.T) {
	kinds := cluster.Kinds(peer.Copse, false)
	s := cluster.NewSchedule(7, 10*time.Minute, kinds)
	if again := cluster.NewSchedule(7, 10*time.Minute, kinds); !slices.Equal(s, again) {
		t.Error("the same seed made another schedule")
	}
	file := filepath.Join(t.TempDir(), "schedule")
	if err := os.WriteFile(file, []byte("# a comment\n\n"+s.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	read, err := cluster.ReadSchedule(file)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s, read) {
		t.Errorf("written\n%v\nand read\n%v", s, read)
	}
}

func TestScheduleUsesAllKinds(t *testing.T) {
	for _, namespaces := range []bool{false, true} {
		kinds := cluster.Kinds(peer.Copse, namespaces)
		s := cluster.NewSchedule(3, 3*time.Minute, kinds)
		for _, kind := range kinds {
			if !slices.ContainsFunc(s, func(f cluster.Fault) bool { return f.Kind == kind }) {
				t.Errorf("3 minutes without %s", kind)
			}
		}
		for i := 1; i < len(s); i++ {
			if s[i].At < s[i-1].At+s[i-1].For {
				t.Errorf("%v begins before %v has ended", s[i], s[i-1])
			}
		}
	}
}

func TestReadScheduleRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"1s explode 2s 0", "no fault"},
		{"1s kill-leader", "EOF"},
		{"soon kill-leader 1s 0", "invalid duration"},
		{"2s kill-leader 1s 0\n1s kill-leader 1s 0", "not in order"},
	} {
		file := filepath.Join(t.TempDir(), "schedule")
		if err := os.WriteFile(file, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := cluster.ReadSchedule(file); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %q", test.text, err, test.want)
		}
	}
}
