package httpfront

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestWhatIsOnDiskIsReadBesideTheLoop has clients read what is in memory, what is yet to be loaded, and
// what is too large for that.
func TestWhatIsOnDiskIsReadBesideTheLoop(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	var loads, served atomic.Int32
	lt.hub.loading = func(string) { loads.Add(1) }
	lt.hub.asked = func(string) { served.Add(1) }
	c := lt.dial()
	c.get("/a")
	c.wantBody(c.head(), "plain /a")
	var all strings.Builder
	keys := []string{"/b", "/disk/a", "/disk/a", "/disk/large", "/slow", "/disk/large", "/c", "/disk/b"}
	for range 3 {
		for _, key := range keys {
			all.WriteString(getLine(key))
		}
	}
	c.send(all.String())
	for range 3 {
		for _, key := range keys {
			c.wantBody(c.head(), "plain "+key)
		}
	}
	if want := int32(2); loads.Load() < want {
		t.Errorf("%d loads, want at least %d", loads.Load(), want)
	}
	before := served.Load()
	d := lt.dial()
	for i := range 3 * idleReaders {
		key := fmt.Sprint("/disk/", i)
		d.get(key)
		d.wantBody(d.head(), "plain "+key)
	}
	if n := served.Load() - before; n != 3*idleReaders {
		t.Errorf("the loop answered %d of %d reads", n, 3*idleReaders)
	}
}

// TestADiskThatHangsHoldsUpFew has one read of the disk last, while others read.
func TestADiskThatHangsHoldsUpFew(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	hanging, hangs := make(chan struct{}), make(chan struct{}, 1)
	lt.hub.loading = func(key string) {
		if key == "/disk/hangs" {
			hangs <- struct{}{}
			<-hanging
		}
	}
	patient, leaver := lt.dial(), lt.dial()
	for _, c := range []*client{patient, leaver} {
		c.get("/disk/hangs")
		<-hangs
	}
	_ = leaver.Close()
	goroutines := runtime.NumGoroutine()
	others := make([]*client, 2*readsEach*idleReaders)
	for i := range others {
		others[i] = lt.dial()
		others[i].get(fmt.Sprint("/disk/", i))
	}
	for i, c := range others {
		c.wantBody(c.head(), fmt.Sprint("plain /disk/", i))
		c.get("/a")
		c.wantBody(c.head(), "plain /a")
	}
	eventually(t, "few readers are left", func() bool { return runtime.NumGoroutine() <= goroutines+idleReaders })
	close(hanging)
	patient.wantBody(patient.head(), "plain /disk/hangs")
}

// TestAReadWaitsForOneOtherAtMost has many reads come at once from a disk that hangs: half of them begin.
func TestAReadWaitsForOneOtherAtMost(t *testing.T) {
	const reads = 32
	lt := serveLoop(t, pollLoopOptions{})
	busy, asked, hanging := make(chan struct{}), make(chan struct{}), make(chan struct{})
	defer close(hanging)
	lt.hub.asked = func(key string) {
		if key == "/busy" {
			close(asked)
			<-busy
		}
	}
	var begun atomic.Int32
	lt.hub.loading = func(string) {
		begun.Add(1)
		<-hanging
	}
	var clients [reads]*client
	for i := range clients {
		clients[i] = lt.dial()
		clients[i].get("/a")
		clients[i].wantBody(clients[i].head(), "plain /a")
	}
	lt.dial().get("/busy")
	<-asked
	for i, c := range clients {
		c.get(fmt.Sprint("/disk/", i))
	}
	close(busy)
	eventually(t, "half of them begin", func() bool { return begun.Load() >= reads/2 })
}

// TestTimeInAReaderCounts has a read go on to a goroutine from a reader, and another one at once.
func TestTimeInAReaderCounts(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	slow := &lt.server.slow
	slow.limit, slow.log = 1, slog.New(slog.DiscardHandler)
	loading := make(chan time.Time, 1)
	lt.hub.loading = func(string) { loading <- time.Now() }
	c := lt.dial()
	c.get("/disk/large")
	c.wantBody(c.head(), "plain /disk/large")
	between := time.Now()
	c.get("/slow")
	c.wantBody(c.head(), "plain /slow")
	eventually(t, "both are noted", func() bool { return len(slow.recent.All()) == 2 })
	list := slow.recent.All()
	slices.SortFunc(list, func(a, b slowJSON) int { return a.At.Compare(b.At) })
	if read := <-loading; list[0].At.After(read) || list[1].At.Before(between) {
		t.Errorf("they began at %v and %v; the reader was asked at %v, and the second came after %v", list[0].At, list[1].At, read, between)
	}
}

// TestStopWaitsForReadsOfTheDisk stops a server whose clients wait for the disk.
func TestStopWaitsForReadsOfTheDisk(t *testing.T) {
	lt := serveLoop(t, pollLoopOptions{})
	hanging, hangs := make(chan struct{}), make(chan struct{}, 1)
	lt.hub.loading = func(string) {
		hangs <- struct{}{}
		<-hanging
	}
	c := lt.dial()
	c.get("/disk/a")
	<-hangs
	stopped := make(chan error, 1)
	go func() { stopped <- lt.server.Stop(t.Context()) }()
	eventually(t, "it stops", lt.server.conns.closing.Load)
	close(hanging)
	c.wantBody(c.head(), "plain /disk/a")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	c.wantClosed()
}
