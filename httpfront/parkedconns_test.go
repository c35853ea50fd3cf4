package httpfront

import (
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"copse/statemachine/tree"

	"golang.org/x/sys/unix"
)

// rawClient opens a connection that costs the test's own heap nothing, asks
// for a watch and reads the first bytes of its head.
func rawClient(t *testing.T, addr string, request string) int {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	sa := &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	if err := unix.Connect(fd, sa); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		t.Fatal(err)
	}
	var head [8]byte
	if _, err := unix.Read(fd, head[:]); err != nil {
		t.Fatal(err)
	}
	return fd
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestParkedConnectionsAreNoGoroutinesAndLittleMemory(t *testing.T) {
	for kind, request := range map[string]string{
		"long-poll":                    getLine("/a?wait=true"),
		"stream of server-sent events": strings.Replace(getLine("/a?wait=true"), "\r\n\r\n", "\r\n"+acceptSSE+"\r\n\r\n", 1),
	} {
		t.Run(kind, func(t *testing.T) { parkedAreLittleMemory(t, request) })
	}
}

func parkedAreLittleMemory(t *testing.T, request string) {
	const parked, bytesLimit = 2000, 1024
	lt := serveLoop(t, pollLoopOptions{})
	clients := make([]int, 0, parked+50)
	defer func() {
		for _, fd := range clients {
			_ = unix.Close(fd)
		}
	}()
	for range 50 {
		clients = append(clients, rawClient(t, lt.addr, strings.Replace(request, "/a", "/warm/up", 1)))
	}
	goroutines, before := runtime.NumGoroutine(), heap()
	for range parked {
		clients = append(clients, rawClient(t, lt.addr, request))
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	each := (heap() - before) / parked
	t.Logf("a parked connection takes %d bytes of heap", each)
	if each > bytesLimit {
		t.Errorf("a parked connection takes %d bytes of heap", each)
	}
	if got := lt.hub.count(); got != parked+50 {
		t.Errorf("%d watches of %d", got, parked)
	}
}

func TestHubMayDeliverWhileClientsLeave(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	var crowd sync.WaitGroup
	var left atomic.Bool
	for range 8 {
		crowd.Go(func() {
			for range 40 {
				c, err := lt.connect()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = c.Write([]byte(getLine("/a?wait=true&stream=true")))
				_ = c.Close()
			}
		})
	}
	publishing := make(chan struct{})
	go func() {
		defer close(publishing)
		for !left.Load() {
			lt.hub.set("/a", 0)
			runtime.Gosched()
		}
	}()
	crowd.Wait()
	eventually(t, "every watch is returned", func() bool { return lt.hub.count() == 0 })
	left.Store(true)
	<-publishing
}

func TestHubMayWaitForTheParkerThatTellsItOfADeparture(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	c := lt.dial()
	c.get("/a?wait=true&stream=true")
	w := next(t, lt.hub.watched)
	lt.hub.mu.Lock() // Unwatch has to wait
	_ = c.Close()
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		for i := range 4 * mailboxLimit {
			w.Sink.Deliver(&tree.EncodedEvent{Index: tree.Index(i + 1), JSON: []byte("{}\n")})
		}
	}()
	select {
	case <-delivered:
	case <-time.After(patience):
		t.Error("the hub waits for the poll loop, which waits for the hub")
	}
	lt.hub.mu.Unlock()
	next(t, lt.hub.returned)
	<-delivered
}

func TestStopWhileEverythingMoves(t *testing.T) {
	for range 20 {
		lt := serveLoop(t, pollLoopOptions{})
		var crowd sync.WaitGroup
		for range 4 {
			crowd.Go(func() {
				for {
					c, err := lt.connect()
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = c.Write([]byte(getLine("/a?wait=true")))
					var b [4096]byte
					_, err = c.Read(b[:])
					_ = c.Close()
					select {
					case <-lt.loop.stopped:
						return
					default:
					}
					_ = err
				}
			})
		}
		for range 50 {
			lt.hub.set("/a", 0)
		}
		next(t, lt.hub.watched)
		lt.loop.stop()
		crowd.Wait()
		eventually(t, "every watch is returned", func() bool { return lt.hub.count() == 0 })
	}
}

// fullListener is one in a process that now and then is out of files.
type fullListener struct {
	net.Listener
	errors atomic.Int32
}

func (l *fullListener) Accept() (net.Conn, error) {
	if l.errors.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestServerOutlivesAcceptErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := &fullListener{Listener: ln}
	full.errors.Store(3)
	reports := make(chan error, 10)
	lt := serveLoopOn(t, full, pollLoopOptions{report: func(_ string, err error) { reports <- err }})
	c := lt.dial()
	c.get("/plain")
	c.wantBody(c.head(), "plain /plain")
	if got := len(reports); got != 1 {
		t.Errorf("%d reports of one spell of errors", got)
	}
}

func TestOtherConnectionsAreServedButNotParked(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	if newConn(lt.loop, here, nil, nil).parkable() {
		t.Error("a pipe is to be parked")
	}
}

func TestCrowdHasSettledOnceItStopsGrowing(t *testing.T) {
	var m crowdMemory
	for i, c := range []struct {
		count   int
		settled bool
	}{
		{10, false}, {10, false}, {crowdAtLeast, false}, {2 * crowdAtLeast, false}, {2 * crowdAtLeast, true},
		{2 * crowdAtLeast, false}, {2*crowdAtLeast + 100, false}, {2*crowdAtLeast + 100, false},
		{100, false}, {100, true}, {100, false},
	} {
		if got := m.settled(c.count); got != c.settled {
			t.Errorf("look %d, at %d: got %v", i, c.count, got)
		}
	}
}
