package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"copse/bench/peer"
	"copse/config/build"
)

// architectures are those of Linux that are published.
var architectures = []string{"amd64", "arm64"}

// release is what is made of one commit.
type release struct {
	source   string // copse's directory
	out      string
	arch     []string // this machine's comes first: it prints the help of all
	pgo      string   // the compiler's flag
	revision string
	time     time.Time // of the commit
}

// ofCommit reads revision and time from the repository in source.
func (r *release) ofCommit() error {
	text, err := run(r.source, nil, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		return err
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(text), " ")
	if said := os.Getenv("SOURCE_DATE_EPOCH"); said != "" {
		seconds = said
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of the commit: %w", err)
	}
	changes, err := run(r.source, nil, "git", "status", "--porcelain", "--untracked-files=no")
	if changes != "" {
		commit += ", with changes"
	}
	r.revision, r.time = commit, time.Unix(n, 0).UTC()
	return err
}

// name is that of a file for one architecture.
func (r *release) name(arch, suffix string) string {
	return filepath.Join(r.out, "copse-"+build.Version+"-linux-"+arch+suffix)
}

// build compiles as the Dockerfile does, and returns the path of the binary.
func (r *release) build(arch string) (string, error) {
	path, err := filepath.Abs(r.name(arch, ""))
	if err != nil {
		return "", err
	}
	args := slices.Concat([]string{"build", "-buildvcs=false", "-pgo=" + r.pgo}, peer.ReleaseFlags,
		[]string{"-ldflags=-s -w '-X=copse/config/build.stamp=" + r.revision + "'", "-o", path, "."})
	_, err = goCommand(r.source, arch, args...)
	return path, err
}

// goCommand runs the go command as for a release.
func goCommand(dir, arch string, args ...string) (string, error) {
	return run(dir, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOFLAGS="}, "go", args...)
}

// run returns what a command prints; what it complains of is in the error.
func run(dir string, environ []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), environ...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, &complaints)
	}
	return string(out), nil
}
