package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// namespaceVariable says that a test runs for the second time, in a namespace
// where it may mount.
const namespaceVariable = "COPSE_TEST_NAMESPACE"

// smallDisk mounts a file system of so many MiB. Who isn't root mounts it in a
// namespace of his own: then the test runs once more in a process there, and
// ok is false here.
func smallDisk(t *testing.T, size int) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", size))
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return dir, true
	}
	if !errors.Is(err, syscall.EPERM) || os.Getenv(namespaceVariable) != "" {
		t.Fatalf("mount a small file system, which takes root or a kernel that lets users have namespaces: %v", err)
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), namespaceVariable+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("in a namespace of its own: %v\n%s", err, out)
	}
	return "", false
}

func TestADiskThatFillsUpStopsWhatGrowsAndNothingElse(t *testing.T) {
	const size, reserve = 512, 256 // MiB
	dir, ok := smallDisk(t, size)
	if !ok {
		return
	}
	p := start(t, filepath.Join(dir, "data"), fmt.Sprintf("--disk-reserve=%dMiB", reserve))
	defer p.stop()
	c := client(t)
	p.do(c, "PUT", "/v2/keys/a", url.Values{"value": {"1"}})
	p.do(c, "PUT", "/v2/keys/b", url.Values{"value": {"1"}})
	p.do(c, "PUT", "/v2/keys/c", url.Values{"value": {"1"}})
	free := func() uint64 {
		t.Helper()
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err != nil {
			t.Fatal(err)
		}
		return fs.Bavail * uint64(fs.Bsize)
	}
	ballast := filepath.Join(dir, "ballast")
	fill := func() {
		t.Helper()
		if err := os.WriteFile(ballast, make([]byte, free()-reserve<<20+8<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(method, path string, form url.Values) bool {
		t.Helper()
		status, body := p.do(c, method, path, form)
		if status != 500 {
			return false
		}
		if !strings.Contains(body, `"errorCode":300,"message":"Raft Internal Error","cause":"etcdserver: no space: `) {
			t.Fatalf("%s %s: %d %s", method, path, status, body)
		}
		return true
	}
	value := url.Values{"value": {"2"}}
	with := func(name, value string) url.Values { return url.Values{"value": {"2"}, name: {value}} }

	resp, err := c.Get(p.client + "/v2/keys/soon?wait=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p.do(client(t), "PUT", "/v2/keys/soon/child", url.Values{"value": {"1"}})
	p.do(client(t), "PUT", "/v2/keys/late", url.Values{"value": {"1"}, "ttl": {"3"}})
	fill()
	eventually(t, "a write is refused", func() bool { return refused("PUT", "/v2/keys/a", value) })
	for _, w := range []struct {
		method, path string
		form         url.Values
	}{
		{"PUT", "/v2/keys/new", value}, {"POST", "/v2/keys/queue", value}, {"PUT", "/v2/keys/new", with("prevExist", "false")},
		{"PUT", "/v2/keys/a", with("prevExist", "true")}, {"PUT", "/v2/keys/a", with("prevValue", "1")}, {"PUT", "/v2/keys/dir", url.Values{"dir": {"true"}}},
	} {
		if !refused(w.method, w.path, w.form) {
			t.Errorf("%s %s %v isn't refused", w.method, w.path, w.form)
		}
	}
	for _, r := range []struct{ method, path string }{
		{"GET", "/v2/keys/a?quorum=true"}, {"GET", "/v2/keys/?recursive=true"}, {"DELETE", "/v2/keys/c?prevValue=1"}, {"DELETE", "/v2/keys/b"},
		{"GET", "/v2/keys/a?wait=true&waitIndex=4"}, {"DELETE", "/v2/keys/soon?recursive=true"},
	} {
		if status, body := p.do(client(t), r.method, r.path, nil); status != 200 {
			t.Errorf("%s %s: %d %s", r.method, r.path, status, body)
		}
	}
	eventually(t, "what is due expires", func() bool {
		status, _ := p.do(c, "GET", "/v2/keys/late", nil)
		return status == 404
	})
	if code, body := fetch(t, c, p.client+"/readyz"); code != 503 || !strings.Contains(body, "[-]disk-reserve failed") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if code, body := fetch(t, c, p.client+"/livez"); code != 200 {
		t.Errorf("/livez: %d %s", code, body)
	}
	if v, _ := scrape(t, c, p.client).Value("copse_disk_reserve_breached"); v != 1 {
		t.Errorf("the reserve is breached: %v", v)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes are served again", func() bool {
		status, _ := p.do(c, "PUT", "/v2/keys/a", value)
		return status == 200 || status == 201
	})
	p.await("there is space again: writes are served")
	if n := p.said("less is free than the disk reserve: writes that grow the store are refused until there is space"); n != 1 {
		t.Errorf("%d lines say that there is no space:\n%s", n, p.log)
	}

	// And if clients do it, as fast as they can: the server outlives them.
	big := url.Values{"value": {strings.Repeat("v", 1<<20)}}
	var crowd sync.WaitGroup
	for w := range 8 {
		crowd.Go(func() {
			c := client(t)
			for written := 0; written < size; {
				status, body := p.do(c, "PUT", fmt.Sprintf("/v2/keys/big/%d/%d", w, written), big)
				switch {
				case strings.Contains(body, "no space"):
					return
				case status == 200 || status == 201:
					written++
				case strings.Contains(body, "request timed out"):
					// A slow machine: as a client would, try again.
				default:
					t.Errorf("%d %.200s", status, body)
					return
				}
			}
			t.Error("more was written than the disk holds")
		})
	}
	crowd.Wait()
	t.Logf("%d MiB are left", free()>>20)
	if left := free(); left < reserve<<20/2 {
		t.Errorf("only %d MiB are left", left>>20)
	}
	if status, body := p.do(c, "DELETE", "/v2/keys/big?recursive=true", nil); status != 200 {
		t.Errorf("removing what filled the disk: %d %s", status, body)
	}
}
