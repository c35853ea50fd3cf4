package httpfront

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"copse/httpfront/tlstest"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

// What holds of a parked watch holds over TLS as well.
func TestOverTLS(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"head":           TestHeadComesBeforeTheEvent,
		"one chunk":      TestOneShotIsOneChunkOnTheWire,
		"keep alive":     TestConnectionKeepsAliveFromPollToPoll,
		"pipelined":      TestPipelinedRequestsAreAnsweredInOrder,
		"early request":  TestRequestMayComeLongBeforeTheEvent,
		"early event":    TestEventMayComeBeforeTheConnection,
		"refused":        TestRefusedWatchIsAnOrdinaryAnswer,
		"departed":       TestDepartedClientIsForgotten,
		"old clients":    TestOldClientsGetTheEventAndTheEnd,
		"stream":         TestStreamDeliversEverythingInOrder,
		"slow stream":    TestSlowStreamIsEndedNotSkipped,
		"large event":    TestEventLargerThanTheSocketsBuffers,
		"never reads":    TestClientThatNeverReadsIsDropped,
		"idle":           TestIdleConnectionIsClosed,
		"end":            TestEndIsTheEmptyAnswer,
		"stopped":        TestPollOfAStoppedParkerEndsAtOnce,
		"polling":        TestPollingFromIndexToIndexMissesNothing,
		"clients leave":  TestHubMayDeliverWhileClientsLeave,
		"waiting hub":    TestHubMayWaitForTheParkerThatTellsItOfADeparture,
		"stop":           TestStopWhileEverythingMoves,
		"many are cheap": parkedSessionsAreNoGoroutinesAndLittleMemory,
	} {
		t.Run(name, test)
	}
}

// crowdVariable makes of the test's binary a crowd of clients: "address,number".
const crowdVariable = "COPSE_TEST_CROWD"

// beCrowd opens connections, asks for a watch on each, and keeps them until its
// input ends.
func beCrowd(order string) {
	addr, text, _ := strings.Cut(order, ",")
	n, err := strconv.Atoi(text)
	for i := 0; i < n && err == nil; i++ {
		var c *tls.Conn
		if c, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}); err != nil {
			break
		}
		defer c.Close()
		if _, err = io.WriteString(c, getLine("/a?wait=true")); err == nil {
			_, err = io.ReadFull(c, make([]byte, 8))
		}
	}
	fmt.Println(err)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// crowd starts clients in a process of their own, whose memory isn't ours.
func crowd(t *testing.T, addr string, n int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%d", crowdVariable, addr, n))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "<nil>\n" {
		t.Fatalf("the crowd says %q, %v", line, err)
	}
}

func parkedSessionsAreNoGoroutinesAndLittleMemory(t *testing.T) {
	const parked, warm, bytesLimit = 1000, 50, 12 << 10
	lt := serveLot(t, parkerOptions{})
	crowd(t, lt.addr, warm)
	goroutines, before := runtime.NumGoroutine(), heap()
	crowd(t, lt.addr, parked)
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	each := (heap() - before) / parked
	t.Logf("a parked connection with TLS takes %d bytes of heap", each)
	if each > bytesLimit {
		t.Errorf("a parked connection with TLS takes %d bytes of heap", each)
	}
	if got := lt.hub.count(); got != parked+warm {
		t.Errorf("%d watches", got)
	}
}

// serverFiles are a certificate and its key, written into dir.
func serverFiles(a *tlstest.Authority, dir, name string) (f TLSFiles) {
	f.Cert, f.Key = a.WriteFiles(dir, name)
	return f
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// secureSite is a server with TLS from files.
type secureSite struct {
	t      *testing.T
	server *Server
	certs  *Certificates
	addr   string
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func serveSecure(t *testing.T, files TLSFiles) *secureSite {
	t.Helper()
	s := &secureSite{t: t, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	var err error
	if s.certs, err = LoadCertificates(files, log); err != nil {
		t.Fatal(err)
	}
	s.certs.every = 0 // the files are looked at with each handshake
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	s.server = NewServer(newFakeHub(), Options{Log: log})
	done := make(chan error, 1)
	go func() { done <- s.server.ServeTLS(ln, s.certs.Config()) }()
	t.Cleanup(func() {
		_ = s.server.Stop(context.Background())
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// ask opens a connection and asks for a key on it.
func (s *secureSite) ask(config *tls.Config) (tls.ConnectionState, error) {
	c, err := tls.Dial("tcp", s.addr, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v2/keys/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		return tls.ConnectionState{}, err
	}
	answer, err := io.ReadAll(c) // to a proper end of the session
	if err == nil && !strings.HasSuffix(string(answer), "plain /a") {
		err = fmt.Errorf("answered %q", answer)
	}
	return c.ConnectionState(), err
}

func TestTLSIsModernAndNothingButHTTP1(t *testing.T) {
	a := tlstest.New(t)
	s := serveSecure(t, serverFiles(a, t.TempDir(), "server"))
	with := func(change func(*tls.Config)) *tls.Config {
		c := a.Client("")
		change(c)
		return c
	}
	st, err := s.ask(with(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }))
	if err != nil || st.NegotiatedProtocol != "http/1.1" || st.Version != tls.VersionTLS13 {
		t.Errorf("%v: protocol %q over %s", err, st.NegotiatedProtocol, tls.VersionName(st.Version))
	}
	if st, err = s.ask(with(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })); err != nil || st.Version != tls.VersionTLS12 {
		t.Errorf("%v over %s", err, tls.VersionName(st.Version))
	}
	if _, err = s.ask(with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, err = s.ask(&tls.Config{}); err == nil {
		t.Error("a stranger's certificate is trusted")
	}
	eventually(t, "both failures are counted", func() bool { // the client knows before the server
		var w metric.Writer
		s.server.WriteMetrics(&w)
		s.certs.WriteMetrics(&w)
		scrape, err := metrictest.Parse(w.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		n, _ := scrape.Value("copse_tls_handshakes_failed_total")
		return n == 2
	})
}

func TestWhoSpeaksHTTPToTLSIsTold(t *testing.T) {
	s := serveSecure(t, serverFiles(tlstest.New(t), t.TempDir(), "server"))
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v2/keys HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c)
	if want := "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"; string(answer) != want {
		t.Errorf("got %q want %q", answer, want)
	}
}

func TestClientsShowCertificatesWhereAskedFor(t *testing.T) {
	a, other, dir := tlstest.New(t), tlstest.New(t), t.TempDir()
	files := serverFiles(a, dir, "server")
	files.TrustedCA = a.WriteCA(dir)
	s := serveSecure(t, files) // as with etcd, the CA alone asks for them
	known, stranger := a.Client("known"), other.Client("stranger")
	known.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	stranger.RootCAs = known.RootCAs
	if _, err := s.ask(known); err != nil {
		t.Errorf("a client with a certificate: %v", err)
	}
	for name, config := range map[string]*tls.Config{"none": a.Client(""), "a stranger's": stranger} {
		if _, err := s.ask(config); err == nil {
			t.Errorf("a client with %s is served", name)
		}
	}

	other.WriteCA(dir)
	if _, err := s.ask(known); err == nil {
		t.Error("a client is served whose certificate isn't trusted any more")
	}
	if _, err := s.ask(stranger); err != nil {
		t.Errorf("a client whose certificate is trusted now: %v", err)
	}
}

func TestChangedCertificatesAreReadAgain(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	files := serverFiles(a, dir, "first")
	s := serveSecure(t, files)
	config := a.Client("")
	sees := func(want string) {
		t.Helper()
		st, err := s.ask(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := st.PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("the certificate is of %q, want %q", got, want)
		}
	}
	sees("first")
	serverFiles(a, dir, "second")
	sees("second")

	// Half of a change, and then nonsense: what was there stays, and that is
	// said once for each state of the files.
	cert, _ := a.Issue("third")
	write(t, files.Cert, cert)
	sees("second")
	sees("second")
	write(t, files.Key, []byte("nonsense"))
	sees("second")
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	sees("second")
	sees("second")
	if n := strings.Count(s.log.String(), "can't be used"); n != 3 {
		t.Errorf("%d lines about bad files, want 3:\n%s", n, s.log)
	}
	serverFiles(a, dir, "fourth")
	sees("fourth")
	var w metric.Writer
	s.certs.WriteMetrics(&w)
	scrape, err := metrictest.Parse(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for result, want := range map[string]float64{"done": 2, "failed": 3} {
		if n, _ := scrape.Value("copse_tls_reloads_total", "result", result); n != want {
			t.Errorf("%v reloads are %s, want %v", n, result, want)
		}
	}
}

func TestCertificatesThatCantBeUsedAreRefused(t *testing.T) {
	a, dir := tlstest.New(t), t.TempDir()
	good := serverFiles(a, dir, "server")
	bad := filepath.Join(dir, "bad")
	write(t, bad, []byte("nonsense"))
	for name, files := range map[string]TLSFiles{
		"no certificate":      {Key: good.Key},
		"a missing file":      {Cert: filepath.Join(dir, "missing"), Key: good.Key},
		"nonsense":            {Cert: bad, Key: good.Key},
		"the key of another":  {Cert: good.Cert, Key: serverFiles(a, t.TempDir(), "other").Key},
		"a CA of nonsense":    {Cert: good.Cert, Key: good.Key, TrustedCA: bad},
		"asking without a CA": {Cert: good.Cert, Key: good.Key, ClientAuth: true},
	} {
		if _, err := LoadCertificates(files, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestWhatASessionSaysWhileParkedIsSentFirst(t *testing.T) {
	server, client := socketPair(t)
	w := newWire(server)
	w.parked = true
	if _, err := w.Read(make([]byte, 1)); err != errNotYet {
		t.Errorf("a read where nothing has come: %v", err)
	}
	if n, err := io.WriteString(w, "parked, "); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	w.parked = false
	if n, err := io.WriteString(w, "awake"); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	_ = w.Close()
	if got, err := io.ReadAll(client); string(got) != "parked, awake" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
