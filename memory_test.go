package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheRuntimeAimsBelowTheContainersLimit(t *testing.T) {
	for _, c := range []struct {
		name    string
		file    string // what the cgroup says; empty: nothing
		environ []string
		want    int64
	}{
		{"a limit", "1073741820\n", nil, 858993456},
		{"no limit", "max\n", nil, 0},
		{"no limit, as the first version says it", "9223372036854771712\n", nil, 0},
		{"no cgroup", "", nil, 0},
		{"told otherwise", "1073741820\n", []string{"GOMEMLIMIT=500MiB"}, 0},
		{"told nothing", "1073741820\n", []string{"GOMEMLIMIT="}, 858993456},
	} {
		path := filepath.Join(t.TempDir(), "memory.max")
		if c.file != "" {
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := aimBelowLimit(c.environ, []string{filepath.Join(t.TempDir(), "none"), path}); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
