package bounds_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"copse/bench/peer"
)

var server = flag.String("server", string(peer.Copse), "what to run")

// patience is for a client that makes no progress. It is only there so that a run ends.
const patience = 2 * time.Minute

// confine returns a command line that runs what follows it with so much memory.
func confine(t *testing.T, bytes int64) []string {
	t.Helper()
	root, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		root, file = "/sys/fs/cgroup", "memory.max"
	}
	group := filepath.Join(root, fmt.Sprintf("copse-bounds-%d", os.Getpid()))
	err := os.Mkdir(group, 0o755)
	if err == nil {
		t.Cleanup(func() {
			if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
		err = os.WriteFile(filepath.Join(group, file), []byte(strconv.FormatInt(bytes, 10)), 0o644)
	}
	if err != nil {
		t.Skipf("no control group can be given a limit here, so nothing is known about memory: %v", err)
	}
	return []string{"sh", "-c", "echo $$ > " + filepath.Join(group, "cgroup.procs") + ` && exec "$@"`, "sh"}
}

func start(t *testing.T, memory int64) *peer.Server {
	t.Helper()
	prefix := confine(t, memory)
	node, err := peer.Launch(peer.Kind(*server), peer.Options{Prefix: prefix, Args: []string{"--read-timeout=5m"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of the log:\n%s", node.LogTail())
		}
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	return node
}

// put writes a key and returns the status and the body of the answer.
func put(node *peer.Server, key, value string) (int, string, error) {
	return putForm(node, key, "value="+value)
}

// putForm is put with the body as it is sent.
func putForm(node *peer.Server, key, form string) (int, string, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := sendPut(client, node.URL, key, form)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 200))
	return resp.StatusCode, string(body), err
}

// sendPut sends a PUT. The caller closes the body.
func sendPut(client *http.Client, url, key, form string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPut, url+"/v2/keys"+key, strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return client.Do(req)
}

// alive checks that the process still runs, and works.
func alive(t *testing.T, node *peer.Server) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		select {
		case <-node.Done():
			t.Fatalf("it has ended: %v", node.Exit())
		default:
		}
		status, body, err := put(node, "/small", "v")
		if err == nil && status < 300 {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("it doesn't work any more: %d %s %v", status, body, err)
		}
	}
}

// TestManyReadersOfOneListing has readers ask for a listing of 15 MiB and stop reading.
func TestManyReadersOfOneListing(t *testing.T) {
	node := start(t, 512<<20)
	value := strings.Repeat("v", 256<<10)
	for i := range 60 {
		if status, body, err := put(node, fmt.Sprintf("/l/%d", i), value); err != nil || status != http.StatusCreated {
			t.Fatal(status, body, err)
		}
	}
	for range 150 {
		c, err := net.Dial("tcp", node.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET /v2/keys/l HTTP/1.1\r\nHost: h\r\n\r\n")
		if _, err := io.CopyN(io.Discard, c, 8<<20); err != nil {
			t.Error(err)
		}
	}
	alive(t, node)
}
