package peerlink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"copse/actors/peerlink"
	"copse/config/certs/tlstest"
)

func dialRaw(t *testing.T, p *party) net.Conn {
	t.Helper()
	_, address, _ := strings.Cut(p.url, "://")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Garbage ends its own connection and nothing else.
func TestGarbageOnThePort(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	a := join(t, 0xa, inHaste)
	b := join(t, 0xb, inHaste)
	secure := join(t, 0xc, inHaste, withTLS(tlstest.New(t)))
	introduce(a, b, secure)
	start(t, b)
	if _, err := a.ask(t, 0xb, 1, "before"); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	good := peerlink.Hello(cluster, 0, 0xa, 0xb)
	damaged := bytes.Clone(good)
	damaged[rnd.IntN(len(damaged))] ^= 1 << rnd.IntN(8)
	for name, garbage := range map[string][]byte{
		"noise":                       noise,
		"nothing":                     nil,
		"half a handshake":            good[:20],
		"a damaged handshake":         damaged,
		"a web browser":               []byte("GET /v2/keys HTTP/1.1\r\nHost: x\r\n\r\n"),
		"the beginning of TLS":        append([]byte{0x16, 3, 1, 2, 0}, noise[:600]...),
		"a handshake, and then noise": append(bytes.Clone(good), noise...),
		"a batch that is none":        append(bytes.Clone(good), peerlink.BatchFrame(noise)...),
		"a batch to blow the stack":   append(bytes.Clone(good), peerlink.BatchFrame(bytes.Repeat([]byte{0x7b}, 8<<20))...),
		"a call where there are none": append(bytes.Clone(good), peerlink.CallFrame("x")...),
		"zeros":                       make([]byte, 5000),
	} {
		for _, to := range []*party{b, secure} {
			c := dialRaw(t, to)
			_, _ = c.Write(garbage) // the other side may have hung up already
			hangsUp(t, c)
		}
		if got, err := a.ask(t, 0xb, 1, name); err != nil || got != "a 1 "+name {
			t.Errorf("after %s: %q, %v", name, got, err)
		}
	}
}

// Silent connections are closed when there are too many of them.
func TestTheSilentDoNotKeepPeersOut(t *testing.T) {
	a, b := join(t, 0xa), join(t, 0xb)
	introduce(a, b)
	silent := make([]net.Conn, peerlink.WaitingLimit+20)
	for i := range silent {
		silent[i] = dialRaw(t, b)
	}
	if _, err := a.ask(t, 0xb, 1, "x"); err != nil {
		t.Fatal(err)
	}
	for _, c := range silent[:10] {
		hangsUp(t, c)
	}
}

// failingListener fails as it would with too many open files.
type failingListener struct {
	net.Listener
	failures atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestAcceptErrorsPass(t *testing.T) {
	a, b := join(t, 0xa), join(t, 0xb)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	failing := &failingListener{Listener: ln}
	failing.failures.Store(5)
	done := make(chan struct{})
	go func() { defer close(done); b.AcceptFrom(failing) }()
	a.book.Set(map[uint64][]string{0xb: {"http://" + ln.Addr().String()}})
	if _, err := a.ask(t, 0xb, 1, "x"); err != nil {
		t.Error(err)
	}
	ln.Close()
	<-done
}

// blocking is a handler that answers only when released.
type blocking struct {
	entered chan struct{}
	release chan struct{}
}

func newBlocking() *blocking {
	return &blocking{make(chan struct{}, 1<<12), make(chan struct{})}
}

func (b *blocking) handle(ctx context.Context, from uint64, kind uint8, payload []byte) ([]byte, error) {
	if kind == 0 {
		return payload, nil
	}
	b.entered <- struct{}{}
	select {
	case <-b.release:
		return echo(ctx, from, kind, payload)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestManyCallsShareAConnection(t *testing.T) {
	block := newBlocking()
	a, b := join(t, 0xa), join(t, 0xb, func(o *peerlink.Options) { o.Handler = block.handle })
	introduce(a, b)
	const calls = peerlink.MemberSlots
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			payload := strings.Repeat("x", i*37)
			if got, err := a.ask(t, 0xb, 5, payload); err != nil || got != "a 5 "+payload {
				t.Errorf("call %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	for range calls {
		<-block.entered
	}
	// All slots are taken: another call waits, up to its caller's deadline.
	ctx, cancel := context.WithCancelCause(t.Context())
	bored := errors.New("bored")
	result := make(chan error)
	go func() {
		_, err := a.Call(ctx, 0xb, 0, nil)
		result <- err
	}()
	cancel(bored)
	if err := <-result; !errors.Is(err, bored) {
		t.Errorf("a call that waits: %v", err)
	}
	close(block.release)
	wg.Wait()
	if got, err := a.ask(t, 0xb, 0, "after"); err != nil || got != "after" {
		t.Errorf("%q, %v", got, err)
	}
}

// The handler's context ends when the caller has given up.
func TestTheCallersPatienceTravels(t *testing.T) {
	left := make(chan error, 1)
	a, b := join(t, 0xa), join(t, 0xb, func(o *peerlink.Options) {
		o.Handler = func(ctx context.Context, _ uint64, _ uint8, _ []byte) ([]byte, error) {
			<-ctx.Done()
			left <- ctx.Err()
			return nil, ctx.Err()
		}
	})
	introduce(a, b)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := a.Call(ctx, 0xb, 1, nil)
	// Its own deadline or the handler's answer ends the call, whichever comes first.
	if answered := (*peerlink.CallError)(nil); !errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &answered) {
		t.Errorf("the caller: %v", err)
	}
	if err := <-left; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the handler: %v", err)
	}
}

// Many requests from outside the cluster don't take the members' slots.
func TestStrangersHaveTheirOwnSlots(t *testing.T) {
	block := newBlocking()
	a, b := join(t, 0xa), join(t, 0xb, func(o *peerlink.Options) { o.Handler = block.handle })
	introduce(a, b)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range peerlink.StrangerSlots + 4 {
		wg.Go(func() {
			if _, err := peerlink.CallAddress(ctx, b.url, nil, 1, nil); err == nil {
				t.Error("a call that nobody answered has an answer")
			}
		})
	}
	for range peerlink.StrangerSlots {
		<-block.entered
	}
	for range 20 {
		if got, err := a.ask(t, 0xb, 0, "x"); err != nil || got != "x" {
			t.Errorf("a member, meanwhile: %q, %v", got, err)
		}
	}
	if n := len(block.entered); n != 0 {
		t.Errorf("%d strangers more than there are slots", n)
	}
	cancel()
	wg.Wait()
}

// The caller closes an idle connection, and opens a new one when needed.
func TestIdleConnectionsAreLeft(t *testing.T) {
	a, b := join(t, 0xa, inHaste), join(t, 0xb, inHaste)
	relay := newRelay(t, b)
	a.book.Set(map[uint64][]string{0xb: {relay.url}})
	for i := range 3 {
		if _, err := a.ask(t, 0xb, 1, "x"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the connection is left", func() bool { return relay.ended.Load() == int32(i+1) })
	}
	if n := relay.begun.Load(); n != 3 {
		t.Errorf("%d connections for three calls", n)
	}
}

// relay stands between a caller and a member.
type relay struct {
	url          string
	begun, ended atomic.Int32
	stopped      atomic.Bool // forwards nothing any more
}

func newRelay(t *testing.T, to *party) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{url: "http://" + ln.Addr().String()}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(to.url, "http://"))
			if err != nil {
				in.Close()
				continue
			}
			r.begun.Add(1)
			context.AfterFunc(ctx, func() { in.Close(); out.Close() })
			wg.Go(func() { r.pass(in, out) })
			wg.Go(func() { r.pass(out, in); r.ended.Add(1) })
		}
	})
	return r
}

func (r *relay) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if r.stopped.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A call that was sent but not answered may have been carried out, so it isn't "unsent".
func TestAnAnswerThatIsLost(t *testing.T) {
	block := newBlocking()
	a, b := join(t, 0xa), join(t, 0xb, func(o *peerlink.Options) { o.Handler = block.handle })
	relay := newRelay(t, b)
	a.book.Set(map[uint64][]string{0xb: {relay.url}})
	result := make(chan error)
	go func() {
		_, err := a.Call(t.Context(), 0xb, 1, nil)
		result <- err
	}()
	<-block.entered
	a.book.Set(map[uint64][]string{}) // hang up
	if err := <-result; err == nil || errors.Is(err, peerlink.ErrUnsent) {
		t.Errorf("a call that has arrived: %v", err)
	}
}

func TestCloseUnderLoad(t *testing.T) {
	for round := range 10 {
		a, b, c := join(t, 0xa), join(t, 0xb), join(t, 0xc)
		introduce(a, b, c)
		all := []*party{a, b, c}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var done atomic.Int32
		for _, from := range all {
			for _, to := range all {
				if from == to {
					continue
				}
				for i := range 4 {
					wg.Go(func() {
						payload := bytes.Repeat([]byte{'x'}, i*20_000)
						for {
							got, err := from.Call(ctx, to.id, 1, payload)
							if err != nil {
								return
							}
							if len(got) != len("a 1 ")+len(payload) {
								t.Errorf("%d bytes for %d", len(got), len(payload))
							}
							done.Add(1)
						}
					})
				}
			}
		}
		eventually(t, "calls are under way", func() bool { return done.Load() > 200 })
		for _, p := range all[:1+round%3] {
			p.Close()
		}
		cancel()
		wg.Wait()
		for _, p := range all {
			p.Close()
			p.Close()
			if _, err := p.Call(t.Context(), 0xb, 1, nil); err == nil {
				t.Error("a closed link calls")
			}
		}
	}
}

func TestWhatCanNotBeListenedOn(t *testing.T) {
	a := join(t, 0xa)
	taken := a.Addrs()[0]
	for name, listen := range map[string][]string{
		"nothing":                   nil,
		"an address without a port": {"127.0.0.1"},
		"another scheme":            {"unix://127.0.0.1:0"},
		"TLS without a certificate": {"https://127.0.0.1:0"},
		"an address that is taken":  {"127.0.0.1:0", taken},
		"a port that is none":       {"127.0.0.1:99999"},
	} {
		l, err := peerlink.Listen(peerlink.Options{Self: 1, Cluster: cluster, Listen: listen, Book: peerlink.NewBook()})
		if err == nil {
			l.Close()
			t.Errorf("%s is listened on", name)
		}
	}
	for name, o := range map[string]peerlink.Options{
		"no member":  {Cluster: cluster, Listen: []string{"127.0.0.1:0"}, Book: peerlink.NewBook()},
		"no cluster": {Self: 1, Listen: []string{"127.0.0.1:0"}, Book: peerlink.NewBook()},
		"no book":    {Self: 1, Cluster: cluster, Listen: []string{"127.0.0.1:0"}},
	} {
		if _, err := peerlink.Listen(o); err == nil {
			t.Errorf("%s is no reason to fail", name)
		}
	}
}

// Dialing a peer that doesn't speak the protocol fails.
func TestDialingSomethingElse(t *testing.T) {
	for name, say := range map[string]string{
		"nothing, and hangs up": "",
		"something else":        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			if c, err := ln.Accept(); err == nil {
				_, _ = io.CopyN(io.Discard, c, int64(len(peerlink.Hello(0, 0, 0, 0))))
				_, _ = io.WriteString(c, say)
				c.Close()
			}
		}()
		_, err = peerlink.CallAddress(t.Context(), "http://"+ln.Addr().String(), nil, 1, nil)
		if !errors.Is(err, peerlink.ErrUnsent) {
			t.Errorf("one that says %s: %v", name, err)
		}
		<-served
		ln.Close()
	}
}

func BenchmarkCall(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			one, other := join(b, 0xa), join(b, 0xb, func(o *peerlink.Options) {
				o.Handler = func(_ context.Context, _ uint64, _ uint8, payload []byte) ([]byte, error) { return payload[:1], nil }
			})
			introduce(one, other)
			payload := make([]byte, size)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := one.Call(b.Context(), 0xb, 1, payload); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
