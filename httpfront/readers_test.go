package httpfront

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
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
