package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"copse/actors/datadir"
	"copse/config"
	"copse/config/certs/tlstest"
	"copse/statemachine/metric/metrictest"
	"copse/statemachine/portable"
	"copse/statemachine/tree"
)

// The scripts in testdata run the whole program as processes. Beside testscript's own
// commands they have those of scriptCommands. A server is called m1, m2 or m3; $C1 is
// its client URL, $P1 its peer URL, $O1 that of its operations port, and $SC1, $SP1,
// $SO1 are the same with https; $C1_AS_ROOT has the user root, and its password in the scripts. Its data is in m1, its log in m1.log.

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "copse" && os.Getuid() != 0 {
		os.Exit(rerunAsRoot()) // disk.txtar mounts a small file system
	}
	testscript.Main(m, map[string]func(){"copse": func() {
		code := run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
		// fasthttp keeps one clock for its Date headers as long as the process lives.
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 99
		}
		os.Exit(code)
	}})
}

// rerunAsRoot runs the tests once more, as root of a namespace of their own.
func rerunAsRoot() int {
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := again.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests need root, or a kernel that lets users have namespaces:", err)
		return 1
	}
	return 0
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: setUp, Cmds: map[string]func(*testscript.TestScript, bool, []string){
		"launch":     launch,
		"start":      start,
		"signal":     sendSignal,
		"ends":       ends,
		"shutdown":   shutdown,
		"unread":     unread,
		"log":        awaitLog,
		"http":       request,
		"eventually": eventually,
		"watch":      watch,
		"watched":    watched,
		"metrics":    metrics,
		"certify":    certify,
		"revoke":     revoke,
		"load":       load,
		"loaded":     loaded,
		"neverread":  neverRead,
		"rises":      rises,
		"manager":    manager,
		"told":       told,
		"remove":     remove,
		"move":       move,
		"spoil":      spoil,
		"smalldisk":  smallDisk,
		"fill":       fill,
		"noise":      noise,
		"occupy":     occupy,
	}})
}

// world is what a script has made; it goes when the script ends.
type world struct {
	servers map[string]*server
	watches map[string]*http.Response
	loads   map[string]chan written
	headers map[string]uint64 // the last that rises has seen
	manager *log              // what the service manager was told

	authorities map[string]*tlstest.Authority
}

// server is one process of copse.
type server struct {
	cmd   *exec.Cmd
	log   *log
	ended chan struct{}
}

// log is a log that can be waited on.
type log struct {
	read sync.Mutex // held while nobody reads it
	mu   sync.Mutex
	text bytes.Buffer
	grew chan struct{}
}

func (l *log) Write(p []byte) (int, error) {
	l.read.Lock()
	defer l.read.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	select {
	case l.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// limit is for what never takes so long, even on a busy machine.
const limit = time.Minute

func worldOf(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

func setUp(e *testscript.Env) error {
	w := &world{servers: map[string]*server{}, watches: map[string]*http.Response{}, loads: map[string]chan written{}, headers: map[string]uint64{}, authorities: map[string]*tlstest.Authority{}}
	e.Values["world"], e.Values["t"] = w, e.T().(testing.TB)
	e.Defer(func() {
		for _, s := range w.servers {
			_ = s.cmd.Process.Kill()
			<-s.ended
		}
	})
	for i := range 3 {
		for _, kind := range []string{"C", "P", "O"} {
			address, err := freeAddress()
			if err != nil {
				return err
			}
			e.Setenv(fmt.Sprint(kind, i+1), "http://"+address)
			e.Setenv(fmt.Sprint("S", kind, i+1), "https://"+address)
			e.Setenv(fmt.Sprint(kind, i+1, "_AS_ROOT"), "http://root:open%20sesame@"+address)
		}
	}
	samples, err := filepath.Abs("statemachine/etcddir/testdata") // of what etcds left
	if err != nil {
		return err
	}
	e.Setenv("SAMPLES", samples)
	e.Setenv("CLUSTER", "m1="+e.Getenv("P1")+",m2="+e.Getenv("P2")+",m3="+e.Getenv("P3"))
	e.Setenv("SCLUSTER", strings.ReplaceAll(e.Getenv("CLUSTER"), "http:", "https:"))
	return nil
}

// given are the addresses that freeAddress has handed out: the system may give a
// free port again at once.
var given sync.Map

func freeAddress() (string, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		address := l.Addr().String()
		l.Close()
		if _, taken := given.LoadOrStore(address, true); !taken {
			return address, nil
		}
	}
}

// launch NAME [FLAG...] starts a server and doesn't wait. It founds a cluster of its
// own, unless the flags say otherwise.
func launch(ts *testscript.TestScript, _ bool, args []string) {
	name, n := args[0], strings.TrimPrefix(args[0], "m")
	client, peer := ts.Getenv("C"+n), ts.Getenv("P"+n)
	s := &server{log: &log{grew: make(chan struct{}, 1)}, ended: make(chan struct{})}
	flags := []string{
		"--name=" + name, "--data-dir=" + name, "--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=" + name + "=" + peer,
	}
	switch {
	case len(args) > 1 && strings.HasPrefix(args[1], "--config-file="):
		flags = nil // the file has everything
	case ts.Getenv("OPERATIONS") != "default":
		flags = append(flags, "--listen-metrics-urls=off")
	}
	s.cmd = exec.Command(os.Args[0], append(flags, args[1:]...)...)
	s.cmd.Args[0], s.cmd.Dir = "copse", ts.MkAbs(".")
	if ts.Getenv("NOTIFY_SOCKET") != "" {
		s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+ts.Getenv("NOTIFY_SOCKET"), "WATCHDOG_USEC="+ts.Getenv("WATCHDOG_USEC"))
	}
	file, err := os.Create(ts.MkAbs(name + ".log"))
	ts.Check(err)
	s.cmd.Stderr = io.MultiWriter(file, s.log) // what awaitLog has seen is in the file
	ts.Check(s.cmd.Start())
	worldOf(ts).servers[name] = s
	go func() {
		_ = s.cmd.Wait() // ends looks at the state
		_ = file.Close()
		close(s.ended)
	}()
}

// start NAME [FLAG...] launches a server and waits until it is ready.
func start(ts *testscript.TestScript, neg bool, args []string) {
	launch(ts, neg, args)
	awaitLog(ts, false, []string{args[0], "ready to serve"})
}

func serverOf(ts *testscript.TestScript, name string) *server {
	s := worldOf(ts).servers[name]
	if s == nil {
		ts.Fatalf("%s has not been launched", name)
	}
	return s
}

// signal NAME TERM|HUP|KILL
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(serverOf(ts, args[0]).cmd.Process.Signal(map[string]os.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}[args[1]]))
}

// ends NAME CODE waits for the server's end; the code -1 is that of a signal. What it
// logged as JSON must have the fields of every line.
func ends(ts *testscript.TestScript, _ bool, args []string) {
	s := serverOf(ts, args[0])
	select {
	case <-s.ended:
	case <-time.After(limit):
		ts.Fatalf("%s never ends:\n%s", args[0], s.log)
	}
	if code := s.cmd.ProcessState.ExitCode(); strconv.Itoa(code) != args[1] {
		ts.Fatalf("exit code %d, want %s:\n%s", code, args[1], s.log)
	}
	for line := range strings.Lines(s.log.String()) {
		var fields map[string]any
		if strings.HasPrefix(line, "{") && (json.Unmarshal([]byte(line), &fields) != nil || fields["time"] == nil || fields["level"] == nil || fields["msg"] == nil || fields["component"] == nil) {
			ts.Fatalf("a line of the log lacks a field: %s", line)
		}
	}
}

// unread NAME leaves the server's log unread until the process has ended.
func unread(ts *testscript.TestScript, _ bool, args []string) {
	s := serverOf(ts, args[0])
	s.log.read.Lock()
	stat := fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid)
	go func() {
		defer s.log.read.Unlock()
		for began := time.Now(); time.Since(began) < 2*limit; time.Sleep(10 * time.Millisecond) {
			if text, err := os.ReadFile(stat); err != nil || bytes.Contains(text, []byte(") Z ")) {
				return // the rest of the log is read before it is waited for
			}
		}
	}()
}

// shutdown NAME... stops servers as an operator does.
func shutdown(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		sendSignal(ts, neg, []string{name, "TERM"})
		ends(ts, neg, []string{name, "0"})
	}
}

// log NAME TEXT waits until the log holds the text.
func awaitLog(ts *testscript.TestScript, _ bool, args []string) {
	s, late := serverOf(ts, args[0]), time.After(limit)
	for !strings.Contains(s.log.String(), args[1]) {
		select {
		case <-s.log.grew:
		case <-s.ended:
			if !strings.Contains(s.log.String(), args[1]) {
				ts.Fatalf("%s ended before it logged %q:\n%s", args[0], args[1], s.log)
			}
		case <-late:
			ts.Fatalf("%s never logged %q:\n%s", args[0], args[1], s.log)
		}
	}
}

// clientOf trusts ca.crt of $CA, and shows server.crt of $CERT, if these are set.
func clientOf(ts *testscript.TestScript) *http.Client {
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	if dir := ts.Getenv("CA"); dir != "" {
		config.RootCAs.AppendCertsFromPEM([]byte(ts.ReadFile(dir + "/ca.crt")))
	}
	if dir := ts.Getenv("CERT"); dir != "" {
		pair, err := tls.LoadX509KeyPair(ts.MkAbs(dir+"/server.crt"), ts.MkAbs(dir+"/server.key"))
		ts.Check(err)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil } // to any authority
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, Timeout: limit}
}

// call makes a request: METHOD URL [NAME=VALUE... | NAME=@FILE... | JSON].
func call(ts *testscript.TestScript, args []string) (*http.Response, error) {
	form, kind := url.Values{}, "application/x-www-form-urlencoded"
	body := ""
	for _, arg := range args[2:] {
		if strings.HasPrefix(arg, "{") {
			body, kind = arg, "application/json"
			continue
		}
		name, value, _ := strings.Cut(arg, "=")
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = ts.ReadFile(file)
		}
		form.Add(name, value)
	}
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(body+form.Encode()))
	ts.Check(err)
	req.Header.Set("Content-Type", kind)
	return clientOf(ts).Do(req)
}

// answer is the status, the body, and whose certificate was shown.
func answer(resp *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	text := fmt.Sprintf("%d %s", resp.StatusCode, body)
	if resp.TLS != nil {
		text += "\nshown by " + resp.TLS.PeerCertificates[0].Subject.CommonName
	}
	return text, err
}

// http METHOD URL [NAME=VALUE... | JSON] prints the status and the body. "! http"
// wants no answer.
func request(ts *testscript.TestScript, neg bool, args []string) {
	text, err := answer(call(ts, args))
	if neg != (err != nil) {
		ts.Fatalf("answered %q, %v", text, err)
	}
	fmt.Fprint(ts.Stdout(), text)
}

// eventually REGEXP METHOD URL [...] repeats a request until the answer matches.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	want, late, tick := regexp.MustCompile(args[0]), time.After(limit), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		text, err := answer(call(ts, args[1:]))
		if err == nil && want.MatchString(text) {
			fmt.Fprint(ts.Stdout(), text)
			return
		}
		select {
		case <-tick.C:
		case <-late:
			ts.Fatalf("last answered %q, %v", text, err)
		}
	}
}

// watch NAME URL begins a request; watched NAME prints its answer once it has ended.
func watch(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := call(ts, []string{"GET", args[1]})
	ts.Check(err)
	worldOf(ts).watches[args[0]] = resp
}

func watched(ts *testscript.TestScript, _ bool, args []string) {
	text, err := answer(worldOf(ts).watches[args[0]], nil)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), text)
}

// rises HEADER URL wants the number in the header of a GET to be above the last that it has
// seen of it; "! rises" wants none below.
func rises(ts *testscript.TestScript, neg bool, args []string) {
	resp, err := call(ts, []string{"GET", args[1]})
	ts.Check(err)
	resp.Body.Close()
	now, err := strconv.ParseUint(resp.Header.Get(args[0]), 10, 64)
	ts.Check(err)
	if last := worldOf(ts).headers[args[0]]; now < last || now == last && !neg {
		ts.Fatalf("%s is %d after %d", args[0], now, last)
	}
	worldOf(ts).headers[args[0]] = now
}

// manager SOCKET is a service manager for the servers that are launched from then on; told
// REGEXP waits until it is told something new that matches, and forgets all up to there.
func manager(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: args[0], Net: "unixgram"})
	ts.Check(err)
	ts.Setenv("NOTIFY_SOCKET", args[0])
	messages := &log{grew: make(chan struct{}, 1)}
	worldOf(ts).manager = messages
	done := make(chan struct{})
	ts.Defer(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			fmt.Fprintf(messages, "%s\n", buf[:n])
		}
	}()
}

func told(ts *testscript.TestScript, _ bool, args []string) {
	want, m, late := regexp.MustCompile("(?m)^(?:"+args[0]+")$"), worldOf(ts).manager, time.After(limit)
	for {
		m.mu.Lock()
		at := want.FindIndex(m.text.Bytes())
		if at != nil {
			m.text.Next(at[1])
		}
		m.mu.Unlock()
		if at != nil {
			return
		}
		select {
		case <-m.grew:
		case <-late:
			ts.Fatalf("never told %s, but\n%s", args[0], m)
		}
	}
}

// metrics URL prints a scrape, which must be one.
func metrics(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := call(ts, []string{"GET", args[0] + "/metrics"})
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, err = metrictest.Parse(text)
	ts.Check(err)
	_, err = ts.Stdout().Write(text)
	ts.Check(err)
}

// certify AUTHORITY DIR NAME [expired] writes server.crt, server.key and the authority's
// ca.crt into DIR.
func certify(ts *testscript.TestScript, _ bool, args []string) {
	a, dir, until := authorityOf(ts, args[0]), ts.MkAbs(args[1]), time.Now().Add(time.Hour)
	ts.Check(os.MkdirAll(dir, 0o700))
	if len(args) > 3 {
		until = time.Now().Add(-time.Minute)
	}
	a.WriteFilesUntil(dir, args[2], until)
	a.WriteCA(dir)
}

// revoke AUTHORITY DIR [REVOKED] writes the authority's ca.crl into DIR, in which is the
// certificate in REVOKED.
func revoke(ts *testscript.TestScript, _ bool, args []string) {
	var serials []*big.Int
	for _, dir := range args[2:] {
		pair, err := tls.LoadX509KeyPair(ts.MkAbs(dir+"/server.crt"), ts.MkAbs(dir+"/server.key"))
		ts.Check(err)
		serials = append(serials, pair.Leaf.SerialNumber)
	}
	authorityOf(ts, args[0]).WriteCRL(ts.MkAbs(args[1]), serials...)
}

func authorityOf(ts *testscript.TestScript, name string) *tlstest.Authority {
	w := worldOf(ts)
	if w.authorities[name] == nil {
		w.authorities[name] = tlstest.Named(ts.Value("t").(testing.TB), name)
	}
	return w.authorities[name]
}

// written is a write that was answered.
type written struct {
	path   string
	status int
}

// load NAME URL writes keys from eight clients until the server is gone; it returns
// once all are at it. loaded NAME URL reads all that was acknowledged.
func load(ts *testscript.TestScript, _ bool, args []string) {
	answers, busy := make(chan written, 1<<16), make(chan struct{}, 8)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for i := 0; ; i++ {
				path := fmt.Sprintf("/v2/keys/w%d/%d", w, i)
				req, _ := http.NewRequest("PUT", args[1]+path+"?value=x", nil)
				resp, err := c.Do(req)
				if err != nil {
					return // the listener is gone
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				answers <- written{path, resp.StatusCode}
				if i == 50 {
					busy <- struct{}{}
				}
			}
		})
	}
	go func() { writers.Wait(); close(answers) }()
	for range 8 {
		<-busy
	}
	worldOf(ts).loads[args[0]] = answers
}

func loaded(ts *testscript.TestScript, _ bool, args []string) {
	for a := range worldOf(ts).loads[args[0]] {
		if a.status == http.StatusInternalServerError {
			continue // refused, with v2's 300
		}
		if text, err := answer(call(ts, []string{"GET", args[1] + a.path})); err != nil || a.status != 201 || !strings.HasPrefix(text, "200 ") {
			ts.Fatalf("%s was answered %d and reads %q, %v", a.path, a.status, text, err)
		}
	}
}

// neverread URL asks for URL 64 times on one connection, and reads no answer.
func neverRead(ts *testscript.TestScript, _ bool, args []string) {
	u, err := url.Parse(args[0])
	ts.Check(err)
	conn, err := net.Dial("tcp", u.Host)
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	_, err = io.WriteString(conn, strings.Repeat("GET "+u.Path+" HTTP/1.1\r\nHost: x\r\n\r\n", 64))
	ts.Check(err)
}

// occupy URL listens on its address. "occupy -maybe URL" is content if somebody else
// does so, and goes on.
func occupy(ts *testscript.TestScript, _ bool, args []string) {
	u, err := url.Parse(args[len(args)-1])
	ts.Check(err)
	late, tick := time.After(limit), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		l, err := net.Listen("tcp", u.Host)
		if err == nil {
			ts.Defer(func() { l.Close() })
			return
		}
		if !errors.Is(err, syscall.EADDRINUSE) || args[0] != "-maybe" {
			ts.Fatalf("%v", err)
		}
		select {
		case <-tick.C:
		case <-late:
			return
		}
	}
}

// remove NAME URL removes a member by its name; move NAME URL PEERURL gives it another peer
// URL.
func remove(ts *testscript.TestScript, _ bool, args []string) {
	changeMember(ts, args[0], args[1], "DELETE")
}

func move(ts *testscript.TestScript, _ bool, args []string) {
	changeMember(ts, args[0], args[1], "PUT", `{"peerURLs":["`+args[2]+`"]}`)
}

func changeMember(ts *testscript.TestScript, name, url, method string, body ...string) {
	text, err := answer(call(ts, []string{"GET", url + "/v2/members"}))
	ts.Check(err)
	var list struct{ Members []struct{ ID, Name string } }
	ts.Check(json.Unmarshal([]byte(strings.TrimPrefix(text, "200 ")), &list))
	for _, m := range list.Members {
		if m.Name == name {
			text, err = answer(call(ts, append([]string{method, url + "/v2/members/" + m.ID}, body...)))
		}
	}
	if err != nil || !strings.HasPrefix(text, "204 ") {
		ts.Fatalf("%s of %s: %s, %v", method, name, text, err)
	}
}

// spoil PATTERN... writes garbage into the middle of what files hold.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	for _, pattern := range args {
		names, err := filepath.Glob(ts.MkAbs(pattern))
		if err != nil || len(names) == 0 {
			ts.Fatalf("%s: %v %v", pattern, names, err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			ts.Check(err)
			copy(b[len(bytes.TrimRight(b, "\x00"))/2:], "garbage")
			ts.Check(os.WriteFile(name, b, 0o600))
		}
	}
}

// smalldisk DIR MIB mounts a small file system.
func smallDisk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+args[1]+"m"))
	ts.Defer(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

func free(ts *testscript.TestScript, dir string) uint64 {
	var fs syscall.Statfs_t
	ts.Check(syscall.Statfs(ts.MkAbs(dir), &fs))
	return fs.Bavail * uint64(fs.Bsize)
}

// noise N URL sets a key N times, eight clients at once.
func noise(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var crowd sync.WaitGroup
	failures := make(chan error, 8)
	for range 8 {
		crowd.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for range n / 8 {
				req, _ := http.NewRequest("PUT", args[1]+"?value=x", nil)
				resp, err := c.Do(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err != nil || resp.StatusCode > 201 {
					failures <- fmt.Errorf("%v, %v", resp, err)
					return
				}
			}
		})
	}
	crowd.Wait()
	select {
	case err := <-failures:
		ts.Check(err)
	default:
	}
}

// fill DIR MIB writes DIR/ballast, so that so much is left free; "fill DIR MIB URL" has
// eight clients write to the server at URL until it refuses, and then wants half of
// that to be left.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	left, err := strconv.ParseUint(args[1], 10, 32)
	ts.Check(err)
	if len(args) == 2 {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+"/ballast"), make([]byte, free(ts, args[0])-left<<20), 0o600))
		return
	}
	random := make([]byte, 3<<18) // so that the store can't compress it
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	value := "value=" + base64.RawURLEncoding.EncodeToString(random)
	var crowd sync.WaitGroup
	failures := make(chan string, 8)
	for w := range 8 {
		crowd.Go(func() {
			for i := range 1000 {
				text, err := answer(call(ts, []string{"PUT", fmt.Sprintf("%s/v2/keys/big/%d/%d", args[2], w, i), value}))
				switch {
				case strings.Contains(text, "no space"):
					return
				case strings.HasPrefix(text, "20"), strings.Contains(text, "request timed out"): // a slow machine
				default:
					failures <- fmt.Sprintf("%.200s %v", text, err)
					return
				}
			}
			failures <- "more was written than the disk holds"
		})
	}
	crowd.Wait()
	close(failures)
	for f := range failures {
		ts.Fatalf("%s", f)
	}
	if now := free(ts, args[0]); now < left<<20/2 {
		ts.Fatalf("only %d MiB are left", now>>20)
	}
}

// writeBackup makes a file with so many nodes, some of them large.
func writeBackup(t *testing.T, path string, nodes int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := portable.NewWriter(f, portable.Header{ClusterID: 0xabc, Index: tree.Index(nodes), Term: 1, Time: time.Unix(1_790_000_000, 0), Shards: 2, Nodes: uint64(nodes)})
	for i := 0; i < nodes && err == nil; i++ {
		n := tree.Node{Key: fmt.Sprintf("/k%06d", i), Value: []byte("v"), Modified: tree.Index(i) + 1, Created: tree.Index(i) + 1}
		if i%50 == 0 {
			n.Value = bytes.Repeat([]byte("large"), 10_000)
		}
		err = w.Node(&n)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// However often a restore is killed, its directory is whole in the end or no server's at all.
func TestARestoreIsAllOrNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	file, data := filepath.Join(dir, "backup"), filepath.Join(dir, "m")
	writeBackup(t, file, 5000)
	copse := func(args ...string) *exec.Cmd { return exec.Command("copse", args...) }
	restore := func() *exec.Cmd {
		return copse("restore", "--data-dir="+data, "--name=m", "--initial-advertise-peer-urls=http://127.0.0.1:1", file)
	}
	began := time.Now()
	if out, err := restore().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	usual := time.Since(began)
	killed, whole := 0, 0
	for range 8 { // config/dispatch kills a small one at each step
		r := restore()
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(random.Int64N(int64(usual))), func() { _ = r.Process.Kill() })
		if r.Wait() != nil {
			killed++
		}
		kill.Stop()
		if _, err := os.Stat(filepath.Join(data, "copse.json")); err != nil {
			if out, err := copse("export", "--data-dir="+data, "-").Output(); err == nil {
				t.Errorf("half a restore is exported: %d bytes", len(out))
			}
			continue // the next one goes on with what is left here
		}
		whole++
		if out, err := copse("export", "--data-dir="+data, file+".again").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if out, err := copse("diff", file, file+".again").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of 8 were killed, %d were whole", killed, whole)
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	// What one that was killed has left doesn't serve, and doesn't stop the next one.
	if err := os.MkdirAll(filepath.Join(data, "shard-0001"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "restore.unfinished"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := copse("--data-dir="+data, "--listen-metrics-urls=off").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("restore that was interrupted")) {
		t.Errorf("a server on what is left: %v %s", err, out)
	}
	if out, err := restore().CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Who has a data directory needs nobody to ask: the settings know one by the file that datadir writes.
func TestADataDirectoryIsKnownAsOne(t *testing.T) {
	c := config.Config{InitialClusterState: "existing", DataDir: t.TempDir()}
	if err := c.CheckFiles(os.ReadFile); err == nil {
		t.Error("an empty directory is taken for that of a member")
	}
	d, err := datadir.Open(c.DataDir, datadir.Identity{ClusterID: 1, MemberID: 2, Name: "m", Token: "t", Shards: 1, ExecShards: 1, Host: "h"}, datadir.Claim{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := c.CheckFiles(os.ReadFile); err != nil {
		t.Error(err)
	}
}
