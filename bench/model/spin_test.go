package model_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// search is one run of the checker.
type search struct {
	defines string // the bounds and budgets of state.pml
	mutant  string // the rule to break, if any
	seed    int    // of a search in random order, for a while, with a bit for each state; 0: an exhaustive one
	minutes int    // how long that may take
}

// verdict is what the checker found.
type verdict struct {
	broken string // the promise that was broken, if one was
	states string
	output string
}

// depthLimit bounds how long a course of events may get; the checker says when one
// is longer. memoryLimit keeps it from the machine's last megabytes.
const (
	depthLimit  = 2000
	memoryLimit = 4096 // MB
)

// run builds the checker for s and lets it search.
func run(t *testing.T, s search) verdict {
	t.Helper()
	dir := copied(t)
	generate := append([]string{"-a"}, strings.Fields(s.defines)...)
	compile := []string{"-w", "-DSAFETY", "-DNOREDUCE", "-DNOFAIR", "-DPRINTF", fmt.Sprintf("-DMEMLIM=%d", memoryLimit)}
	check := []string{fmt.Sprintf("-m%d", depthLimit)}
	switch {
	case s.mutant != "":
		generate = append(generate, "-DM_"+s.mutant)
		compile = append(compile, "-O0") // it ends early
	case s.seed != 0:
		compile = append(compile, "-O2", "-DBITSTATE", "-DT_RAND", "-DP_RAND")
		check = append(check, "-w32", fmt.Sprintf("-RS%d", s.seed), fmt.Sprintf("-Q%d", s.minutes))
	default:
		compile = append(compile, "-O1")
		check = append(check, "-w23")
	}
	command(t, dir, "spin", append(generate, "index.pml")...)
	command(t, dir, "gcc", append(compile, "-o", "pan", "pan.c")...)
	return read(t, command(t, dir, "./pan", check...))
}

// copied returns a new folder with the model in it.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"state.pml", "shows.pml", "actors.pml", "rules.pml", "index.pml"} {
		// Read here, so that the go command knows what a result depends on.
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// command runs a program in dir and returns what it says. A missing one is an
// error and not a reason to skip: a model that nobody checked proves nothing.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil {
		t.Fatalf("%s: %v: apt-get install spin gcc", name, err)
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func read(t *testing.T, output string) verdict {
	t.Helper()
	v := verdict{output: output}
	count := regexp.MustCompile(`errors: (\d+)`).FindStringSubmatch(output)
	states := regexp.MustCompile(`(\S+) states, stored`).FindStringSubmatch(output)
	if count == nil || states == nil {
		t.Fatalf("the checker doesn't say what it found:\n%s", output)
	}
	v.states = states[1]
	broken := regexp.MustCompile(`(?m)^\s*broken: (.*)$`).FindStringSubmatch(output)
	switch {
	case broken != nil:
		v.broken = broken[1]
	case count[1] != "0":
		t.Fatalf("the checker stopped at something that is no promise:\n%s", output)
	}
	return v
}

// whole reports whether nothing was left out of the search.
func (v verdict) whole() bool {
	for _, sign := range []string{"Search not completed", "max search depth too small", "out of memory", "hash factor"} {
		if strings.Contains(v.output, sign) {
			return false
		}
	}
	return true
}
