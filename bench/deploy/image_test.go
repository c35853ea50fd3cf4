package deploy

import (
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"copse/config/build"
)

// How large the image may be. The client commands, the web page and the reference took two
// megabytes. It passed 37.0 MB by a few KB, and who needs more should look for what can go first.
const (
	imageBytesLimit      = 37.2e6
	compressedBytesLimit = 14.5e6
)

// needImage makes sure that the image exists.
func needImage(t *testing.T) {
	t.Helper()
	needDocker(t)
	if err := built(); err != nil {
		t.Fatal(err)
	}
}

func TestImageIsSmallAndSaysWhatItIs(t *testing.T) {
	needImage(t)
	var images []struct {
		Size   float64
		Config struct {
			User         string
			Env          []string
			Entrypoint   []string
			StopSignal   string
			Labels       map[string]string
			ExposedPorts map[string]struct{}
			Volumes      map[string]struct{}
			Healthcheck  struct{ Test []string }
		}
	}
	if err := json.Unmarshal([]byte(docker(t, "image", "inspect", imageName)), &images); err != nil || len(images) != 1 {
		t.Fatalf("%d images: %v", len(images), err)
	}
	image := images[0]
	compressed := compressedSize(t)
	t.Logf("the image has %.1f MB, %.1f MB compressed", image.Size/1e6, compressed/1e6)
	if image.Size > imageBytesLimit || compressed > compressedBytesLimit {
		t.Errorf("more than %.1f MB, or %.1f MB compressed", imageBytesLimit/1e6, compressedBytesLimit/1e6)
	}
	c := image.Config
	if c.User != "65532:65532" || c.StopSignal != "SIGTERM" || !slices.Equal(c.Entrypoint, []string{"/copse"}) {
		t.Errorf("user %q, stop signal %q, entry %q", c.User, c.StopSignal, c.Entrypoint)
	}
	for _, port := range []string{"2379/tcp", "2380/tcp", "2381/tcp"} {
		if _, ok := c.ExposedPorts[port]; !ok {
			t.Errorf("%s is not exposed: %v", port, c.ExposedPorts)
		}
	}
	if _, ok := c.Volumes["/var/lib/copse"]; !ok || len(c.Healthcheck.Test) == 0 {
		t.Errorf("volumes %v, health check %q", c.Volumes, c.Healthcheck.Test)
	}
	said := docker(t, "run", "--rm", "--network", "none", imageName, "version")
	for label, want := range map[string]string{"version": build.Version, "revision": revisionSaid, "created": createdSaid, "licenses": "Apache-2.0", "title": "copse"} {
		if got := c.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	for _, word := range []string{revisionSaid, build.Version} {
		if !slices.Contains(strings.Fields(said), word) {
			t.Errorf("copse version doesn't say %q:\n%s", word, said)
		}
	}
}

// compressedSize is the size that a registry stores and a client downloads.
func compressedSize(t *testing.T) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dockerLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "save", imageName)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var n counter
	z := gzip.NewWriter(&n)
	if _, err := io.Copy(z, out); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return float64(n)
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// hardened are the arguments that leave a container nothing but its volume.
var hardened = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"}

// TestImageServes runs the image as one member, without any flag.
func TestImageServes(t *testing.T) {
	needImage(t)
	volume := docker(t, "volume", "create")
	t.Cleanup(func() { forget(t, "volume", "rm", volume) })

	first := runContainer(t, volume, "--memory", "512m")
	first.awaitHealth("healthy")
	if log := logsOf(first.id); !strings.Contains(log, `"limit_b":536870912,"runtime_b":295279`) {
		t.Errorf("the log doesn't mention the container's memory limit:\n%s", log)
	}
	first.put("/v2/keys/greeting", "hello")
	if code := first.stop(); code != 0 {
		t.Errorf("docker stop: exit code %d", code)
	}

	// Another container, and so another host name, on the same data.
	second := runContainer(t, volume)
	second.awaitHealth("healthy")
	if got := second.get("/v2/keys/greeting"); !strings.Contains(got, `"value":"hello"`) {
		t.Errorf("after the restart: %s", got)
	}
	second.put("/v2/keys/greeting", "again")
	docker(t, "kill", second.id)
	docker(t, "start", second.id)
	second.awaitHealth("healthy")
	if got := second.get("/v2/keys/greeting"); !strings.Contains(got, `"value":"again"`) {
		t.Errorf("after the kill: %s", got)
	}
	if _, err := try(t.Context(), "docker", "exec", second.id, "/copse", "config", "check"); err != nil {
		t.Error(err)
	}
}

// TestCrossBuild builds the binary for the other architecture, as the Dockerfile
// does but for the profile, and inspects it.
func TestCrossBuild(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "copse")
	cmd := exec.Command("go", "build", "-pgo=off", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags=-s -w", "-o", binary, ".")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if _, err := output(cmd); err != nil {
		t.Fatal(err)
	}
	program, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if program.Machine != elf.EM_AARCH64 {
		t.Errorf("it is for %v", program.Machine)
	}
	if dynamic := program.Section(".interp"); dynamic != nil {
		t.Error("it isn't static")
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if size := float64(info.Size()); size > imageBytesLimit {
		t.Errorf("it has %.1f MB, more than %.1f", size/1e6, imageBytesLimit/1e6)
	}
}

// container is a running copse.
type container struct {
	t  *testing.T
	id string
}

func runContainer(t *testing.T, volume string, more ...string) *container {
	t.Helper()
	args := slices.Concat([]string{"run", "-d", "-v", volume + ":/var/lib/copse", "-p", "127.0.0.1::2379"}, hardened, more, []string{imageName})
	c := &container{t: t, id: docker(t, args...)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the container's log:\n%s", logsOf(c.id))
		}
		forget(t, "rm", "-f", c.id)
	})
	return c
}

// logsOf is the end of a container's log.
func logsOf(id string) string {
	out, err := exec.Command("docker", "logs", "--tail", "30", id).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func (c *container) awaitHealth(want string) {
	c.t.Helper()
	await(c.t, "a container that is "+want, func() error {
		if got := docker(c.t, "inspect", "--format", "{{.State.Health.Status}}", c.id); got != want {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// stop is docker stop; it returns the exit code, of which 137 says that it took
// longer than graceLimit.
func (c *container) stop() int {
	c.t.Helper()
	docker(c.t, "stop", "-t", fmt.Sprint(int(graceLimit/time.Second)), c.id)
	var code int
	if _, err := fmt.Sscan(docker(c.t, "inspect", "--format", "{{.State.ExitCode}}", c.id), &code); err != nil {
		c.t.Fatal(err)
	}
	return code
}

// address is the host's address of the container's client port.
func (c *container) address() string {
	c.t.Helper()
	return strings.Fields(docker(c.t, "port", c.id, "2379/tcp"))[0]
}

func (c *container) put(path, value string) {
	c.t.Helper()
	c.do(http.MethodPut, path, url.Values{"value": {value}})
}

func (c *container) get(path string) string {
	c.t.Helper()
	return c.do(http.MethodGet, path, nil)
}

func (c *container) do(method, path string, form url.Values) string {
	c.t.Helper()
	address := c.address()
	client := &client{endpoints: [2]string{address, address}}
	defer client.close()
	a, _, err := client.do(c.t.Context(), method, path, form)
	if err != nil || a.status >= 300 {
		c.t.Fatalf("%s %s: %d %s %v", method, path, a.status, a.body, err)
	}
	return a.body
}
