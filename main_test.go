package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" {
		main() // a process of its own, for tests that send it signals
	}
	// fasthttp keeps one clock for its Date headers as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// program is one run of the whole server in this process.
type program struct {
	t      *testing.T
	client string // base URL
	args   []string
	log    *logBuffer
	cancel context.CancelFunc
	code   chan int
}

// logBuffer is a log that can be waited on.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	select {
	case b.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// given are the addresses that freeAddress has handed out: the system may give a
// free port again at once.
var given sync.Map

func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		if _, taken := given.LoadOrStore(address, true); !taken {
			return address
		}
	}
}

// arguments are those of a node of its own; dir may be shared by two.
func arguments(t *testing.T, dir string, more ...string) (client string, args []string) {
	client = "http://" + freeAddress(t)
	peer := "http://" + freeAddress(t)
	return client, append([]string{
		"--listen-metrics-urls", "off", "--data-dir", dir, "-listen-client-urls", client, "--advertise-client-urls=" + client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
	}, more...)
}

func launch(t *testing.T, client string, args []string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{t: t, client: client, args: args, cancel: cancel, code: make(chan int, 1), log: &logBuffer{grew: make(chan struct{}, 1)}}
	go func() { p.code <- run(ctx, args, nil, io.Discard, p.log) }()
	t.Cleanup(cancel)
	return p
}

// start launches a server and waits until it says that it is ready.
func start(t *testing.T, dir string, more ...string) *program {
	t.Helper()
	client, args := arguments(t, dir, more...)
	return restart(t, client, args)
}

func restart(t *testing.T, client string, args []string) *program {
	t.Helper()
	p := launch(t, client, args)
	for !strings.Contains(p.log.String(), "ready to serve") {
		select {
		case <-p.log.grew:
		case code := <-p.code:
			t.Fatalf("ended with %d instead of starting:\n%s", code, p.log)
		case <-time.After(time.Minute):
			t.Fatalf("never ready:\n%s", p.log)
		}
	}
	return p
}

// stop ends the server as SIGTERM does.
func (p *program) stop() {
	p.t.Helper()
	p.cancel()
	if code := <-p.code; code != 0 {
		p.t.Fatalf("exit code %d:\n%s", code, p.log)
	}
}

// refused waits for a server that won't start.
func (p *program) refused(code int, line string) {
	p.t.Helper()
	if got := <-p.code; got != code || !strings.Contains(p.log.String(), line) {
		p.t.Fatalf("exit code %d, want %d; log, which should say %q:\n%s", got, code, line, p.log)
	}
}

// client has no idle connections left over when its test ends.
func client(t *testing.T) *http.Client {
	c := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (p *program) do(c *http.Client, method, path string, form url.Values) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.client+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestANodeKeepsWhatItWasTold(t *testing.T) {
	p := start(t, t.TempDir())
	c := client(t)
	status, body := p.do(c, "PUT", "/v2/keys/message", url.Values{"value": {"Hello world"}})
	if want := `{"action":"set","node":{"key":"/message","value":"Hello world","modifiedIndex":4,"createdIndex":4}}` + "\n"; status != 201 || body != want {
		t.Fatalf("the first write: %d %s", status, body)
	}
	p.do(c, "PUT", "/v2/keys/soon", url.Values{"value": {"x"}, "ttl": {"1"}})
	p.do(c, "PUT", "/v2/keys/message", url.Values{"value": {"Hello etcd"}})
	p.stop()

	p = restart(t, p.client, p.args)
	defer p.stop()
	for _, want := range []struct{ path, body string }{
		{"/v2/keys/message?quorum=true", `{"action":"get","node":{"key":"/message","value":"Hello etcd","modifiedIndex":6,"createdIndex":6}}`},
		{"/v2/keys/message?wait=true&waitIndex=1", `{"action":"set","node":{"key":"/message","value":"Hello world","modifiedIndex":4,"createdIndex":4}}`},
		{"/v2/keys/soon?wait=true&waitIndex=7", `{"action":"expire","node":{"key":"/soon","modifiedIndex":7,"createdIndex":5}`},
	} {
		if _, body := p.do(c, "GET", want.path, nil); !strings.HasPrefix(body, want.body) {
			t.Errorf("after a restart, %s: %s", want.path, body)
		}
	}
}

func TestAMemberSaysAtEachStartWhoItIs(t *testing.T) {
	c := client(t)
	address, args := arguments(t, t.TempDir())
	peer := strings.TrimPrefix(args[len(args)-1], "default=")
	for _, as := range []struct{ name, clients, shown string }{
		{"one", "http://b:1,http://a:1", `["http://a:1","http://b:1"]`},
		{"one", "http://b:1,http://a:1", `["http://a:1","http://b:1"]`},
		{"uno", "http://c:1", `["http://c:1"]`},
	} {
		p := restart(t, address, append(slices.Clone(args), "--name", as.name, "--initial-cluster", as.name+"="+peer, "--advertise-client-urls", as.clients))
		_, body := p.do(c, "GET", "/v2/members", nil)
		if want := `"name":"` + as.name + `","peerURLs":["` + peer + `"],"clientURLs":` + as.shown + "}]}\n"; !strings.HasSuffix(body, want) {
			t.Errorf("members: %s, want …%s", body, want)
		}
		if status, body := p.do(c, "GET", "/v2/keys/none", nil); status != 404 || !strings.Contains(body, `"index":3}`) {
			t.Errorf("%d %s: it takes no index", status, body)
		}
		p.stop()
	}
}

func TestParkedPollsEndEmptyWhenTheServerStops(t *testing.T) {
	p := start(t, t.TempDir())
	c := client(t)
	for _, query := range []string{"?wait=true", "?wait=true&stream=true", "?wait=true&recursive=true"} {
		resp, err := c.Get(p.client + "/v2/keys/k" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			body, err := io.ReadAll(resp.Body)
			if resp.Body.Close(); resp.StatusCode != 200 || len(body) > 0 || err != nil {
				t.Errorf("%s ended with %d %q, %v", query, resp.StatusCode, body, err)
			}
		}()
	}
	p.stop()
}

func TestWritesInFlightAreAnsweredWhenTheServerStops(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir)
	type answer struct {
		key    string
		status int
	}
	answers := make(chan answer, 1<<16)
	var writers sync.WaitGroup
	busy := make(chan struct{}, 8)
	for w := range 8 {
		writers.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for i := 0; ; i++ {
				key := fmt.Sprintf("/w%d/%d", w, i)
				req, _ := http.NewRequest("PUT", p.client+"/v2/keys"+key+"?value=x", nil)
				resp, err := c.Do(req)
				if err != nil {
					return // refused: the listener is gone
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				answers <- answer{key, resp.StatusCode}
				if i == 50 {
					busy <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-busy
	}
	p.stop()
	writers.Wait()
	close(answers)

	p = restart(t, p.client, p.args)
	defer p.stop()
	c := client(t)
	for a := range answers {
		if a.status == http.StatusInternalServerError {
			continue // refused, with v2's 300
		}
		if status, _ := p.do(c, "GET", "/v2/keys"+a.key, nil); a.status != 201 || status != 200 {
			t.Fatalf("%s was answered %d and reads %d after the restart", a.key, a.status, status)
		}
	}
}

func TestADataDirectoryServesOneCopseAtATime(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir)
	defer p.stop()
	other, args := arguments(t, dir)
	launch(t, other, args).refused(exitLocked, "in use by another copse")
}

func TestDataThatCantBeServedIsRefusedInOneLine(t *testing.T) {
	edit := func(name string, change func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	garbage := func([]byte) []byte { return []byte("garbage") }
	logFile := func(t *testing.T, dir string) string {
		t.Helper()
		names, err := fs.Glob(os.DirFS(dir), "raft/*/*/log/*.log")
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		return names[0]
	}
	cases := []struct {
		name   string
		break_ func(t *testing.T, dir string)
		code   int
		line   string
	}{
		{"a newer format", edit("copse.json", func(b []byte) []byte {
			var fields map[string]any
			if err := json.Unmarshal(b, &fields); err != nil {
				t.Fatal(err)
			}
			fields["format"] = 99
			b, _ = json.Marshal(fields)
			return b
		}), exitNewer, "newer"},
		{"a corrupt identity", edit("copse.json", garbage), exitCorrupt, "copse.json"},
		{"a corrupt pointer", edit("shard-0001/CURRENT", garbage), exitCorrupt, "CURRENT"},
		{"a byte of the raft log", func(t *testing.T, dir string) {
			name := filepath.Join(dir, logFile(t, dir))
			b, err := os.ReadFile(name)
			if err == nil {
				b[len(bytes.TrimRight(b, "\x00"))/2] ^= 0x10
				err = os.WriteFile(name, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, exitCorrupt, "the raft log is damaged"},
		{"a lost file of the raft log", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, logFile(t, dir))); err != nil {
				t.Fatal(err)
			}
		}, exitCorrupt, "the file is missing"},
		{"a data directory of before the first release", edit("copse.json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"format": 2`), []byte(`"format": 1`), 1)
		}), exitCorrupt, "before the first release"},
		{"a lost raft log", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "raft")); err != nil {
				t.Fatal(err)
			}
		}, exitCorrupt, "raft"},
		{"a lost store", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "shard-0001")); err != nil {
				t.Fatal(err)
			}
		}, exitCorrupt, "store of shard 1 is gone"},
		{"a corrupt manifest", func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, "shard-0001/store-*/MANIFEST-*"))
			if err != nil || len(names) == 0 {
				t.Fatal(names, err)
			}
			if err := os.WriteFile(names[0], []byte("garbage"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, exitCorrupt, "shard-0001"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			p := start(t, dir)
			web := client(t)
			for i := range 50 {
				p.do(web, "PUT", fmt.Sprintf("/v2/keys/k%d", i), url.Values{"value": {"x"}})
			}
			p.stop()
			c.break_(t, dir)
			p = launch(t, p.client, p.args)
			p.refused(c.code, c.line)
			if got := strings.Count(p.log.String(), `"level":"ERROR"`); got != 1 {
				t.Errorf("%d lines of error:\n%s", got, p.log)
			}
		})
	}
}

func TestACommandLineThatCantBeFollowedIsRefused(t *testing.T) {
	for _, args := range [][]string{{"--no-such-flag"}, {"stray"}, {"--heartbeat-interval", "1000"}} {
		p := launch(t, "", args)
		if code := <-p.code; code != exitUsage {
			t.Errorf("%v: exit code %d:\n%s", args, code, p.log)
		}
	}
}

func TestAPortInUseIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, args := arguments(t, t.TempDir())
	taken := "http://" + l.Addr().String()
	launch(t, taken, append(args, "--listen-client-urls", taken)).refused(exitFailed, "is another server running there?")
}

func TestAClientThatNeverReadsDisturbsNobody(t *testing.T) {
	p := start(t, t.TempDir())
	defer p.stop()
	c := client(t)
	big := strings.Repeat("v", 1<<20)
	p.do(c, "PUT", "/v2/keys/big", url.Values{"value": {big}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.client, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := bufio.NewWriter(conn)
	for range 64 { // far more than the sockets hold, and never read
		fmt.Fprintf(w, "GET /v2/keys/big HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if status, _ := p.do(c, "PUT", "/v2/keys/other", url.Values{"value": {"x"}}); status != 201 {
		t.Fatalf("a write beside it: %d", status)
	}
}

func TestAStopBeforeReadyIsAStop(t *testing.T) {
	for range 5 {
		client, args := arguments(t, t.TempDir())
		p := launch(t, client, args)
		for !strings.Contains(p.log.String(), "copse starts") {
			<-p.log.grew
		}
		p.stop()
	}
}
