package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Kind says which server to run.
type Kind string

const (
	Copse  Kind = "copse"
	Etcd34 Kind = "etcd34" // Debian's etcd 3.4, the reference for what clients see
	Etcd35 Kind = "etcd35" // the last release with v2, the reference for speed
)

// Built is a copse whose program already exists, such as that of another commit.
func Built(path string) Kind { return Kind(builtPrefix + path) }

const builtPrefix = string(Copse) + "="

// IsCopse reports whether it is copse, however built: "copse+race" is built with
// the race detector, "copse+TAG" with a build tag, and Built names a program.
func (k Kind) IsCopse() bool {
	return k == Copse || strings.HasPrefix(string(k), string(Copse)+"+") || strings.HasPrefix(string(k), builtPrefix)
}

// releaseTag leaves HTTP/2 out.
const releaseTag = "nethttpomithttp2"

// ReleaseFlags and CGO_ENABLED=0 build copse as it is released, as in the Dockerfile: what is
// tested and measured is what people run.
var ReleaseFlags = []string{"-trimpath", "-tags=" + releaseTag}

// variant returns the build flags of a kind of copse other than the plain one.
func (k Kind) variant() []string {
	how := strings.TrimPrefix(string(k), string(Copse)+"+")
	if how == raceHow {
		return []string{"-race", "-pgo=off"} // as package main's own tests are, so that it is built once
	}
	return []string{"-trimpath", "-tags=" + releaseTag + "," + how}
}

const raceHow = "race"

// Each binary is built once per process, whatever asks for it; the go command's
// cache makes that cheap.
var (
	copseBinary  = sync.OnceValues(func() (string, error) { return build("copse", "..", ".", ReleaseFlags...) })
	etcd35Binary = sync.OnceValues(func() (string, error) { return build("etcd35", ".", "./etcd35") })
)

// Binary returns the path of the server's program, which it builds if need be.
func Binary(kind Kind) (string, error) {
	switch kind {
	case Copse:
		return copseBinary()
	case Etcd35:
		return etcd35Binary()
	case Etcd34:
		return installed("etcd")
	}
	if path, ok := strings.CutPrefix(string(kind), builtPrefix); ok {
		return exec.LookPath(path) // an error if it can't be run
	}
	if kind.IsCopse() {
		return build(string(kind), "..", ".", kind.variant()...)
	}
	return "", fmt.Errorf("there is no server of kind %q", kind)
}

// Etcdctl returns the path of Debian's etcdctl 3.4, which speaks v2 when
// ETCDCTL_API=2 is set.
func Etcdctl() (string, error) { return installed("etcdctl") }

// installed finds one of Debian's programs. A missing one is an error and not
// a reason to skip: a comparison that did not happen proves nothing.
func installed(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: apt-get install etcd-server etcd-client", err)
	}
	return path, nil
}

// build compiles pkg, seen from dir under the module's root, into bin/name.
func build(name, dir, pkg string, flags ...string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(root, "bin"))
	if err != nil {
		return "", err
	}
	defer unlock()
	binary := filepath.Join(root, "bin", name)
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", binary}, flags, []string{pkg})...)
	cmd.Dir = filepath.Join(root, dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if slices.Contains(flags, "-race") {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// lock makes dir and holds it alone: go test runs the packages of a module at
// the same time, and they build into one directory.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// moduleRoot finds the directory of this nested module from wherever inside
// it the process runs; go test runs each package in its own directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module copse/bench\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("not inside the module copse/bench")
		}
		dir = up
	}
}
