package deploy

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"copse/bench/peer"
	"copse/config/build"
)

// The Dockerfile is built unchanged. Its base image comes from a registry; if this
// machine has no copy, an equivalent image is made of
// its Go, modules, shell and what it has compiled already.

const (
	goImage      = "golang:1.26" // the Dockerfile's
	revisionSaid = "0123456789abcdef"
	createdSaid  = "2026-01-02T03:04:05Z"
)

// What this run makes has its name in it, so that two runs don't meet.
var (
	runName      = cmp.Or(os.Getenv(keepVariable), fmt.Sprintf("%08x", rand.Uint32()))
	builderImage = "copse-test-go:" + runName
	stageImage   = "copse-test-build:" + runName
	imageName    = "copse-test:" + runName
)

// keepVariable names the run and keeps its images for the next run of that
// name.
const keepVariable = "COPSE_KEEP_IMAGES"

// built is the image, built once for all tests of a run.
var built = sync.OnceValue(func() error {
	ctx := context.Background()
	from := goImage
	if _, err := try(ctx, "docker", "image", "inspect", from); err != nil {
		from = builderImage
		if _, err := try(ctx, "docker", "image", "inspect", from); err != nil {
			if err := makeBuilder(ctx); err != nil {
				return fmt.Errorf("make %s: %w", from, err)
			}
		}
		ours = append(ours, from)
	}
	// The stage gets a name as well, so that it can be removed.
	for _, target := range [][]string{{"--target", "build", "-t", stageImage}, {"-t", imageName}} {
		args := append([]string{"build", "--build-arg", "BUILDER=" + from, "--build-arg", "VERSION=" + build.Version, "--build-arg", "REVISION=" + revisionSaid, "--build-arg", "CREATED=" + createdSaid}, target...)
		if _, err := try(ctx, "docker", append(args, "../..")...); err != nil {
			return err
		}
		ours = append(ours, target[len(target)-1])
	}
	return nil
})

// ours are the images to be removed in the end. Written by built, read behind it.
var ours []string

// removeImages removes the images that built has made, unless they should be kept.
func removeImages() error {
	if os.Getenv(keepVariable) != "" {
		return nil
	}
	var errs []error
	for i := range ours {
		_, err := try(context.Background(), "docker", "rmi", ours[len(ours)-1-i])
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// makeBuilder imports an image with everything that the Dockerfile's first stage needs.
func makeBuilder(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dockerLimit)
	defer cancel()
	root, err := try(ctx, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	modules, err := downloadModules(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(modules)
	cmd := exec.CommandContext(ctx, "docker", "import",
		"--change", "ENV PATH=/usr/local/go/bin:/bin GOPROXY=file:///modules GOSUMDB=off GOTOOLCHAIN=local HOME=/root", "-", builderImage)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var filling error
	var filler sync.WaitGroup
	filler.Go(func() {
		filling = errors.Join(fill(in, root, modules), in.Close())
	})
	_, err = output(cmd)
	filler.Wait()
	return errors.Join(err, filling)
}

// downloadModules makes a directory with the modules that the server's go.mod
// names, as a proxy would have them.
func downloadModules(ctx context.Context) (string, error) {
	cache, err := try(ctx, "go", "env", "GOMODCACHE")
	if err != nil {
		return "", err
	}
	proxy, err := try(ctx, "go", "env", "GOPROXY")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "copse-modules-")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOFLAGS=-modcacherw", "GOMODCACHE="+dir, "GOPROXY=file://"+cache+"/cache/download,"+proxy)
	if _, err := output(cmd); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// fill writes the builder's file system.
func fill(w io.Writer, goroot, modules string) error {
	image := &archive{w: tar.NewWriter(w), have: map[string]bool{}}
	for _, dir := range []string{"tmp", "root"} {
		if err := image.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o1777}); err != nil {
			return err
		}
	}
	for _, program := range []string{"sh", "mkdir"} {
		if err := image.program(program); err != nil {
			return err
		}
	}
	if err := image.file("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt"); err != nil {
		return err
	}
	if err := image.tree(filepath.Join(modules, "cache", "download"), "modules"); err != nil {
		return err
	}
	for _, part := range []string{"bin", "pkg", "src", "VERSION", "go.env"} {
		if err := image.tree(filepath.Join(goroot, part), "usr/local/go/"+part); err != nil {
			return err
		}
	}
	if err := image.compiled("root/.cache/go-build"); err != nil {
		return err
	}
	return image.w.Close()
}

// archive is a tar file that grows.
type archive struct {
	w    *tar.Writer
	have map[string]bool
}

// program adds one of this machine's programs to /bin, and the libraries that it
// is linked with.
func (a *archive) program(name string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	if err := a.file(path, "bin/"+name); err != nil {
		return err
	}
	linked, err := exec.Command("ldd", path).Output()
	if err != nil {
		return nil // it is static
	}
	for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(linked), -1) {
		if err := a.file(library, strings.TrimPrefix(library, "/")); err != nil {
			return err
		}
	}
	return nil
}

// tree adds the contents of a directory, without the tests of Go itself.
func (a *archive) tree(dir, at string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return a.file(path, filepath.ToSlash(filepath.Join(at, below)))
	})
}

// compiled adds the packages that the Dockerfile compiles, from the go command's cache: other
// tests have built the same. If that ever lacks one, or names it in another way, the container
// compiles it.
func (a *archive) compiled(at string) error {
	ctx := context.Background()
	cache, err := try(ctx, "go", "env", "GOCACHE")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"list", "-deps", "-export", "-f", "{{.BuildID}} {{.Export}}"}, peer.ReleaseFlags, []string{"."})...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	packages, err := output(cmd)
	if err != nil {
		return err
	}
	for line := range strings.Lines(packages) {
		var id, compiled string
		if _, err := fmt.Sscan(line, &id, &compiled); err != nil {
			continue // unsafe, which is no file
		}
		// An entry has the name of a hash, with which the ID begins: its first 15 bytes.
		hash, err := base64.RawURLEncoding.DecodeString(id[:20])
		if err != nil {
			return err
		}
		name := hex.EncodeToString(hash)
		entries, err := filepath.Glob(filepath.Join(cache, name[:2], name+"*-a"))
		if err != nil {
			return err
		}
		for _, file := range append(entries, compiled) {
			below, err := filepath.Rel(cache, file)
			if err != nil {
				return err
			}
			if err := a.file(file, filepath.ToSlash(filepath.Join(at, below))); err != nil {
				return err
			}
		}
	}
	return nil
}

// file adds one file, once; a link is followed.
func (a *archive) file(path, at string) error {
	if a.have[at] {
		return nil
	}
	a.have[at] = true
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	err = a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: at, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: time.Unix(0, 0)})
	if err != nil {
		return err
	}
	_, err = io.Copy(a.w, f)
	return err
}
