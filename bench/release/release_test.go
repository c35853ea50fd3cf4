package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	rpmutils "github.com/sassoftware/go-rpmutils"

	"copse/bench/peer"
	"copse/config/build"
)

// The default is what peer builds for the other tests, and costs nothing more.
var pgo = flag.String("pgo", "auto", "the compiler's flag")

const source = "../.."

func TestTheLicencesAreThoseOfWhatIsLinked(t *testing.T) {
	list, err := linked(source)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if err := build.WriteLicenses(&said); err != nil {
		t.Fatal(err)
	}
	if said.String() != licenseText(list) {
		t.Error("config/build/licenses.gz is outdated: cd bench && go run ./release -licenses ../config/build/licenses.gz")
	}
}

// TestTheRelease makes this machine's part of a release twice, from the repository and from a
// copy elsewhere, and installs it. TestCrossBuild in ../deploy compiles the other one.
func TestTheRelease(t *testing.T) {
	first := publishFrom(t, source)
	second := publishFrom(t, copyOf(t))
	sums := sumsOf(t, first.out)
	if again := sumsOf(t, second.out); fmt.Sprint(sums) != fmt.Sprint(again) || len(sums) != 6 {
		t.Errorf("the same sources made\n%v\nand\n%v", sums, again)
	}
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = first.out
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	root := install(t, first.only(t, "*.deb"))
	t.Run("binary", func(t *testing.T) { checkBinary(t, first, root) })
	t.Run("man page", func(t *testing.T) { checkManual(t, root) })
	t.Run("SPDX", func(t *testing.T) { checkSPDX(t, first) })
	t.Run("rpm", func(t *testing.T) { checkRPM(t, first.only(t, "*.rpm"), root) })
	t.Run("unit", func(t *testing.T) { runUnit(t, root) })
}

// TestTheModuleCanMove: with another path every import is still found.
func TestTheModuleCanMove(t *testing.T) {
	const path = "elsewhere.test/copse"
	dir := copyOf(t)
	if _, err := run(dir, nil, "./.ci/module", path); err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{dir, filepath.Join(dir, "bench")} {
		out, err := run(module, nil, "go", "list", "-deps", "-test", "./...")
		if err != nil || !strings.Contains(out, path+"/statemachine/tree\n") || strings.Contains(out, "\ncopse/") {
			t.Errorf("%v\n%.1000s", err, out)
		}
	}
	out, err := run(dir, nil, "grep", "-rnE", `"copse/(actors|bench|config|deploy|httpfront|statemachine)`, "--include=*.go", ".")
	if err == nil {
		t.Errorf("these have the old path:\n%s", out)
	}
}

func publishFrom(t *testing.T, dir string) *release {
	t.Helper()
	r := &release{source: source, out: t.TempDir(), arch: []string{runtime.GOARCH}, pgo: *pgo}
	if err := r.ofCommit(); err != nil {
		t.Fatal(err)
	}
	r.source = dir
	if err := r.publish(); err != nil {
		t.Fatal(err)
	}
	return r
}

// only is the one file that matches.
func (r *release) only(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(r.out, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

// copyOf has the files of the repository, and no history.
func copyOf(t *testing.T) string {
	t.Helper()
	list, err := run(source, nil, "git", "ls-files", "-co", "--exclude-standard", "-z")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(source, name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		to := filepath.Join(dir, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func sumsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		sums[strings.TrimPrefix(path, dir)] = fmt.Sprintf("%x", sha256.Sum256(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// install has dpkg install a package below a directory of its own.
func install(t *testing.T, deb string) (root string) {
	t.Helper()
	root, err := os.MkdirTemp("", "copse-root-") // t.TempDir is for this user only
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := run(".", nil, "dpkg", "--root="+root, "--install", deb); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := run(".", nil, "dpkg-query", "--root="+root, "-W", "-f", "${Package} ${Version} ${Status}"); err != nil || out != "copse "+build.Version+" install ok installed" {
		t.Errorf("%q, %v", out, err)
	}
	return root
}

func checkBinary(t *testing.T, r *release, root string) {
	path := filepath.Join(root, "usr/bin/copse")
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary isn't static")
		}
	}
	for command, want := range map[string]string{"version": r.revision, "licenses": "dragonboat", "--version": build.Version} {
		if out, err := run(".", nil, path, command); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %.200s %v", command, out, err)
		}
	}
}

func checkManual(t *testing.T, root string) {
	packed, err := os.ReadFile(filepath.Join(root, "usr/share/man/man1/copse.1.gz"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(page)
	if err != nil {
		t.Fatal(err)
	}
	help, err := run(".", nil, filepath.Join(root, "usr/bin/copse"), "help")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`--[a-z-]+`).FindAllString(help, -1)
	for _, flag := range flags {
		if !strings.Contains(string(text), strings.ReplaceAll(flag, "-", `\-`)) {
			t.Errorf("the man page lacks %s", flag)
		}
	}
	if len(flags) < 50 {
		t.Errorf("the help has %d flags", len(flags))
	}
}

// checkSPDX wants a licence for whatever is linked.
func checkSPDX(t *testing.T, r *release) {
	text, err := os.ReadFile(r.only(t, "*.spdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Packages {
		if p.LicenseDeclared == unsaid || p.VersionInfo == "" {
			t.Errorf("%+v", p)
		}
	}
	if len(d.Packages) < 40 || len(d.Relationships) != len(d.Packages) {
		t.Errorf("%d packages, %d relationships", len(d.Packages), len(d.Relationships))
	}
}

// checkRPM unpacks a package, which has the same files as the one for Debian.
func checkRPM(t *testing.T, path, root string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := rpmutils.ReadRpm(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := p.ExpandPayload(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(root, "var")); err != nil { // dpkg's
		t.Fatal(err)
	}
	if got, want := sumsOf(t, dir), sumsOf(t, root); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("it has\n%v\nwant\n%v", got, want)
	}
}

// runUnit runs what the installed unit says, in the directory as root and as a user of no
// rights, as systemd would.
func runUnit(t *testing.T, root string) {
	const user = 65532
	text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/copse.service"))
	if err != nil {
		t.Fatal(err)
	}
	setting := func(key string) string {
		found := regexp.MustCompile(`(?m)^` + key + `=-?(.*)$`).FindStringSubmatch(string(text))
		if found == nil {
			t.Fatalf("the unit has no %s", key)
		}
		return found[1]
	}
	state := filepath.Join(root, "var/lib", setting("StateDirectory"))
	client, err := peer.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	member, err := peer.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(state), 0o755), os.Mkdir(state, 0o700), os.Chown(state, user, user)); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(root, setting("EnvironmentFile"))
	if _, err := os.Stat(settings); err != nil {
		t.Error(err)
	}
	cmd := exec.Command(setting("ExecStart"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: user, Gid: user}}
	cmd.Dir = "/"
	cmd.Env = []string{setting("Environment"), "COPSE_LISTEN_CLIENT_URLS=http://" + client, "COPSE_LISTEN_PEER_URLS=http://" + member, "COPSE_LISTEN_METRICS_URLS=off"}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); cancel() }()
	ready := awaitReady(ctx, "http://"+client+"/readyz")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := <-ended; err != nil || ready != nil {
		t.Errorf("%v, %v\n%s", ready, err, &log)
	}
	if _, err := os.Stat(filepath.Join(state, "copse.json")); err != nil {
		t.Errorf("the data isn't where the unit says: %v", err)
	}
}

func awaitReady(ctx context.Context, url string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("never ready: %v", err)
		}
	}
}
