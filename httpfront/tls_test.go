package httpfront

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"copse/config/certs/tlstest"
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
		"in parts":       TestLargeEventsAreNeverPrintedAsAWhole,
		"never reads":    TestClientThatNeverReadsIsDropped,
		"idle":           TestIdleConnectionIsClosed,
		"never parked":   TestConnectionThatWasNeverParkedHasItsTimeouts,
		"end":            TestEndIsTheEmptyAnswer,
		"stopped":        TestPollOfAStoppedParkerEndsAtOnce,
		"polling":        TestPollingFromIndexToIndexMissesNothing,
		"clients leave":  TestHubMayDeliverWhileClientsLeave,
		"waiting hub":    TestHubMayWaitForTheParkerThatTellsItOfADeparture,
		"stop":           TestStopWhileEverythingMoves,
		"bounded waits":  TestABoundedWaitEndsWithAFreshIndex,
		"other ends":     TestABoundedWaitMayEndOtherwise,
		"known":          TestAWaitForWhatIsKnown,
		"sse":            TestServerSentEvents,
		"sse, slow":      TestSlowServerSentEventsAreEnded,
		"heartbeats":     TestAHeartbeatIsNeverAheadOfTheEvents,
		"stop, answers":  TestStopLetsAnswersBeTaken,
		"stop, requests": TestStopLetsRequestsThatHaveComeBeAnswered,
		"has ended":      TestAnswersToAClientThatHasEnded,
		"behind a watch": requestsBehindAWatchInASession,
		"many are cheap": parkedSessionsAreNoGoroutinesAndLittleMemory,
	} {
		t.Run(name, test)
	}
}

// And over both on one address, where the first byte of a connection decides.
func TestOnOnePort(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"one chunk":    TestOneShotIsOneChunkOnTheWire,
		"keep alive":   TestConnectionKeepsAliveFromPollToPoll,
		"pipelined":    TestPipelinedRequestsAreAnsweredInOrder,
		"departed":     TestDepartedClientIsForgotten,
		"stream":       TestStreamDeliversEverythingInOrder,
		"idle":         TestIdleConnectionIsClosed,
		"never parked": TestConnectionThatWasNeverParkedHasItsTimeouts,
		"polling":      TestPollingFromIndexToIndexMissesNothing,
		"stop":         TestStopWhileEverythingMoves,
	} {
		t.Run("plain "+name, test)
		t.Run("secure "+name, test)
	}
}

// Who connects to such an address and says nothing has the time of any request; who leaves
// is no failure.
func TestOnOnePortTheSilentAreClosed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewTestServer(newFakeHub(), Options{Requests: Requests{ReadTimeout: 50 * time.Millisecond}, MaxConnections: 1})
	done := make(chan error, 1)
	go func() { done <- s.serveOn(ln, protection{tls: tlstest.New(t).Server("server"), plain: true}) }()
	for range 3 { // the place of the one before is free again
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); len(b) != 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %q, %v", b, err)
		}
		_ = c.Close()
	}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := s.meter.handshakes.Load(); n != 0 {
		t.Errorf("%d failed handshakes", n)
	}
}

// The name in the certificate belongs to the connection, and survives its being parked.
func TestAClientsCertificateHasItsName(t *testing.T) {
	a := tlstest.Named(t, "root") // whose name isn't the client's
	server := a.Server("server")
	server.ClientCAs, server.ClientAuth = a.Client("").RootCAs, tls.RequireAndVerifyClientCert
	p, err := newTestPollLoop(pollLoopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	here, there := socketPair(t)
	c, err := secure(p, here, server)
	if err != nil {
		t.Fatal(err)
	}
	client := a.Client("somebody")
	client.ServerName = "localhost"
	var dialling sync.WaitGroup
	dialling.Go(func() { _ = tls.Client(there, client).Handshake() })
	err = NewTestServer(newFakeHub(), Options{}).shakeHands(c)
	dialling.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.certificateName(); got != "somebody" {
		t.Errorf("the name is %q", got)
	}
	sock, err := newSocket(c.Conn, c.wire, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := sock.conn(p).certificateName(); got != "somebody" {
		t.Errorf("after parking the name is %q", got)
	}
	if got := newConn(p, here, nil, nil).certificateName(); got != "" {
		t.Errorf("without TLS there is the name %q", got)
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
	lt := serveLoop(t, pollLoopOptions{})
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

// secureSite is a server with TLS.
type secureSite struct {
	t      *testing.T
	server *Server
	addr   string
}

func serveSecure(t *testing.T, config *tls.Config) *secureSite {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &secureSite{t: t, addr: ln.Addr().String(), server: NewTestServer(newFakeHub(), Options{})}
	done := make(chan error, 1)
	go func() { done <- s.server.ServeTLS(ln, config) }()
	t.Cleanup(func() {
		_ = s.server.Stop(context.Background())
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// ask opens a connection and asks for a key on it.
func (s *secureSite) ask(config *tls.Config) error {
	c, err := tls.Dial("tcp", s.addr, config)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v2/keys/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(c) // to a proper end of the session
	if err == nil && !strings.HasSuffix(string(answer), "plain /a") {
		err = fmt.Errorf("answered %q", answer)
	}
	return err
}

func TestFailedHandshakesAreCounted(t *testing.T) {
	a := tlstest.New(t)
	s := serveSecure(t, a.Server("server"))
	if err := s.ask(&tls.Config{}); err == nil {
		t.Error("a stranger's certificate is trusted")
	}
	if err := s.ask(a.Client("")); err != nil {
		t.Error(err)
	}
	eventually(t, "the failure is counted", func() bool { // the client knows before the server
		var w metric.Writer
		s.server.WriteMetrics(&w)
		scrape, err := metrictest.Parse(w.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		n, _ := scrape.Value("copse_tls_handshakes_failed_total")
		return n == 1
	})
}

func TestWhoSpeaksHTTPToTLSIsTold(t *testing.T) {
	s := serveSecure(t, tlstest.New(t).Server("server"))
	for range 20 { // a reset because of what isn't read mustn't overtake the answer
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "PUT /v2/keys HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("v", 100_000)); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c)
		if want := "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"; string(answer) != want || err != nil {
			t.Fatalf("got %q, %v; want %q", answer, err, want)
		}
		_ = c.Close()
	}
}

// TestARefusalOverTLSArrivesWhole is TestARefusalArrivesWhole over TLS.
func TestARefusalOverTLSArrivesWhole(t *testing.T) {
	ca := tlstest.New(t)
	s := serveSecure(t, ca.Server("server"))
	for range 20 {
		c, err := tls.Dial("tcp", s.addr, ca.Client(""))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+strings.Repeat("v", 100_000)); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(c); !strings.HasSuffix(string(answer), "400 Bad Request") || err != nil {
			t.Fatalf("got %q, %v", answer, err)
		}
		_ = c.Close()
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
