package faultproxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"copse/bench/cluster/faultproxy"
	"copse/bench/peer"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is member 0, which has dialled member 1 through a mesh.
type pair struct {
	mesh *faultproxy.Mesh
	a, b net.Conn // member 0's end, member 1's
}

func connect(t *testing.T) pair {
	t.Helper()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	mesh := faultproxy.New(1, func(net.Addr) int { return 0 })
	t.Cleanup(mesh.Close)
	front := freePort(t)
	for _, address := range []string{freePort(t), front} { // member 0's own is not used
		if err := mesh.Add(address, target.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	a, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	p := pair{mesh, a, b}
	// The mesh knows a connection once data has passed through it.
	send(t, a, "hello")
	expect(t, b, "hello")
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	address, err := peer.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got, err, want)
	}
}

// nothing wants silence for a moment; that it isn't longer makes no test fail.
func nothing(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var one [1]byte
	if n, err := c.Read(one[:]); n > 0 || !isTimeout(err) {
		t.Fatalf("got %d bytes (%v), want silence", n, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestMeshPassesBothWays(t *testing.T) {
	p := connect(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB, more than all queues hold
	var writer sync.WaitGroup
	writer.Go(func() { _, _ = p.a.Write(large) })
	got := make([]byte, len(large))
	if _, err := io.ReadFull(p.b, got); err != nil || !bytes.Equal(got, large) {
		t.Fatalf("a megabyte arrived changed (%v)", err)
	}
	writer.Wait()
	send(t, p.b, "back")
	expect(t, p.a, "back")
	p.a.Close()
	if n, err := p.b.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("after the end: %d, %v", n, err)
	}
}

func TestMeshHoldsOneWay(t *testing.T) {
	p := connect(t)
	p.mesh.Set(0, 1, faultproxy.Rule{Hold: true})
	send(t, p.a, "held")
	nothing(t, p.b)
	send(t, p.b, "the other way")
	expect(t, p.a, "the other way")
	p.mesh.Heal()
	expect(t, p.b, "held")
}

func TestMeshDelays(t *testing.T) {
	p := connect(t)
	const delay = 200 * time.Millisecond
	p.mesh.Set(0, 1, faultproxy.Rule{Delay: delay})
	begin := time.Now()
	send(t, p.a, "late")
	expect(t, p.b, "late")
	if took := time.Since(begin); took < delay {
		t.Errorf("it took %v", took)
	}
}

func TestMeshLimitsTheRate(t *testing.T) {
	p := connect(t)
	p.mesh.Set(0, 1, faultproxy.Rule{Rate: 100_000})
	begin := time.Now()
	send(t, p.a, string(make([]byte, 30_000)))
	expect(t, p.b, string(make([]byte, 30_000)))
	if took := time.Since(begin); took < 250*time.Millisecond {
		t.Errorf("30,000 bytes took %v", took)
	}
}

func TestMeshCorrupts(t *testing.T) {
	p := connect(t)
	p.mesh.Set(0, 1, faultproxy.Rule{Corrupt: 1})
	send(t, p.a, "abc")
	expect(t, p.b, "ajc")
}

func TestMeshResets(t *testing.T) {
	p := connect(t)
	if n := p.mesh.Reset(0); n != 1 {
		t.Fatalf("%d connections", n)
	}
	for _, end := range []net.Conn{p.a, p.b} {
		if _, err := end.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	}
}

func TestMeshLeavesHalfOpen(t *testing.T) {
	p := connect(t)
	if n := p.mesh.HalfOpen(1); n != 1 {
		t.Fatalf("%d connections", n)
	}
	if _, err := p.a.Read(make([]byte, 1)); err == nil {
		t.Error("the dialler's end is open")
	}
	nothing(t, p.b)
	p.mesh.Heal()
	if err := p.b.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.b.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("after Heal: %v", err)
	}
}

func TestMeshRefusesWhatNobodyListensFor(t *testing.T) {
	mesh := faultproxy.New(1, func(net.Addr) int { return 0 })
	defer mesh.Close()
	front := freePort(t)
	if err := mesh.Add(front, freePort(t)); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("read something")
	}
}
