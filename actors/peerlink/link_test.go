package peerlink_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"copse/actors/peerlink"
	"copse/config/certs/tlstest"
)

const cluster = 0xc0b5e

// party is one member's link in a test.
type party struct {
	*peerlink.Link
	id   uint64
	book *peerlink.Book
	url  string
}

// echo answers every call with who called, what kind of call it is, and its payload.
func echo(_ context.Context, from uint64, kind uint8, payload []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%x %d %s", from, kind, payload), nil
}

// join opens a link for a member on a loopback port, until the test ends.
func join(t testing.TB, id uint64, change ...func(*peerlink.Options)) *party {
	t.Helper()
	p := &party{id: id, book: peerlink.NewBook()}
	o := peerlink.Options{Self: id, Cluster: cluster, Listen: []string{"127.0.0.1:0"}, Book: p.book, Handler: echo}
	for _, c := range change {
		c(&o)
	}
	open := peerlink.Listen
	if o.Generation == hasty {
		o.Generation, open = 0, peerlink.ListenHasty
	}
	l, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	scheme := "http"
	if o.ServerTLS != nil {
		scheme = "https"
	}
	p.Link, p.url = l, scheme+"://"+l.Addrs()[0]
	return p
}

// hasty, as a generation, opens the link with short timeouts.
const hasty = 99

func inHaste(o *peerlink.Options) { o.Generation = hasty }

// introduce tells every party the addresses of all.
func introduce(parties ...*party) {
	members := make(map[uint64][]string)
	for _, p := range parties {
		members[p.id] = []string{p.url}
	}
	for _, p := range parties {
		p.book.Set(members)
	}
}

// ask calls with a time limit far above what a working call needs.
func (p *party) ask(t *testing.T, member uint64, kind uint8, payload string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answer, err := p.Call(ctx, member, kind, []byte(payload))
	if ctx.Err() != nil {
		t.Fatalf("%x is not answered by %x: %v", p.id, member, err)
	}
	return string(answer), err
}

// eventually waits until a condition becomes true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("it never came true that", what)
		}
	}
}

func hasIPv6() bool {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		ln.Close()
	}
	return err == nil
}

func TestMembersCallEachOther(t *testing.T) {
	a, b, c := join(t, 0xa), join(t, 0xb), join(t, 0xc)
	introduce(a, b, c)
	for _, from := range []*party{a, b, c} {
		for _, to := range []*party{a, b, c} {
			if from == to {
				continue
			}
			for _, payload := range []string{"", "hello", strings.Repeat("long ", 200_000)} {
				got, err := from.ask(t, to.id, 7, payload)
				if want := fmt.Sprintf("%x 7 %s", from.id, payload); err != nil || got != want {
					t.Fatalf("%x to %x: %d bytes, %v; want %d", from.id, to.id, len(got), err, len(want))
				}
			}
			if to.LastHeard(from.id).IsZero() || from.LastHeard(to.id).IsZero() {
				t.Errorf("%x and %x have not heard of each other", from.id, to.id)
			}
		}
	}
	if !a.LastHeard(0xd).IsZero() {
		t.Error("a member that isn't there was heard")
	}
}

func TestAddressesOfEveryKind(t *testing.T) {
	listen := []string{"127.0.0.1:0", "http://127.0.0.1:0/"}
	dial := []string{"http://127.0.0.1:%s", "http://localhost:%s/"}
	if hasIPv6() {
		listen = append(listen, "[::1]:0", "http://[::1]:0")
		dial = append(dial, "http://[::1]:%s", "http://[0:0:0:0:0:0:0:1]:%s")
	} else {
		t.Log("there is no IPv6 here")
	}
	a := join(t, 0xa)
	b := join(t, 0xb, func(o *peerlink.Options) { o.Listen = listen })
	for i, addr := range b.Addrs() {
		_, port, _ := net.SplitHostPort(addr)
		url := fmt.Sprintf(dial[i], port)
		a.book.Set(map[uint64][]string{0xb: {url}})
		if got, err := a.ask(t, 0xb, 1, "x"); err != nil || got != "a 1 x" {
			t.Errorf("%s: %q, %v", url, got, err)
		}
		if got, err := peerlink.CallAddress(t.Context(), url, nil, 2, []byte("y")); err != nil || string(got) != "0 2 y" {
			t.Errorf("%s: %q, %v", url, got, err)
		}
	}
}

func TestTheAddressThatWorksIsFound(t *testing.T) {
	a, b, c := join(t, 0xa), join(t, 0xb), join(t, 0xc)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	a.book.Set(map[uint64][]string{0xb: {
		"http://" + nobody.Addr().String(), "http://no-such-host.invalid:2380", "nonsense", c.url, b.url,
	}})
	for range 3 {
		if got, err := a.ask(t, 0xb, 1, "x"); err != nil || got != "a 1 x" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	_, err = a.ask(t, 0xc, 1, "x")
	if !errors.Is(err, peerlink.ErrUnsent) {
		t.Errorf("to a member that isn't in the book: %v", err)
	}

	// Connections after the first begin with the address that worked.
	via := newRelay(t, c)
	a.book.Set(map[uint64][]string{0xb: {via.url, b.url}})
	e := start(t, a)
	start(t, b)
	for range 3 {
		e.to(t, 0xb, 1)
	}
	a.book.Set(map[uint64][]string{0xb: {via.url}, 0xc: {c.url}})
	if _, err := a.ask(t, 0xb, 1, "x"); !errors.Is(err, peerlink.WrongMember) {
		t.Errorf("at another member's address: %v", err)
	}
	eventually(t, "the relay has been used", func() bool { return via.begun.Load() > 0 })
	if n := via.begun.Load(); n != 1 {
		t.Errorf("%d connections to the wrong address", n)
	}
}

// A call that fails says how, and whether it may be tried again.
func TestErrorsOfCalls(t *testing.T) {
	a := join(t, 0xa)
	b := join(t, 0xb, func(o *peerlink.Options) {
		o.CallLimit = 1000
		o.Handler = func(_ context.Context, _ uint64, kind uint8, payload []byte) ([]byte, error) {
			switch kind {
			case 1:
				return nil, errors.New("in words")
			case 2:
				return nil, fmt.Errorf("wrapped: %w", &peerlink.CallError{Code: 42, Text: "in code"})
			case 3:
				return make([]byte, 1001), nil
			case 4:
				return nil, errors.New(strings.Repeat("at length ", 100_000))
			}
			return payload, nil
		}
	})
	c := join(t, 0xc, func(o *peerlink.Options) { o.Handler = nil })
	introduce(a, b, c)
	for _, test := range []struct {
		name   string
		member uint64
		kind   uint8
		code   uint8
		text   string
	}{
		{"with a text", 0xb, 1, 0, "in words"},
		{"with a code", 0xb, 2, 42, "wrapped: in code"},
		{"an answer that is too long", 0xb, 3, 0, "too large"},
		{"with a very long text", 0xb, 4, 0, "at length"},
		{"of a member without a handler", 0xc, 1, 0, "answer calls"},
	} {
		_, err := a.ask(t, test.member, test.kind, "")
		answered := (*peerlink.CallError)(nil)
		if !errors.As(err, &answered) || answered.Code != test.code || !strings.Contains(answered.Text, test.text) || errors.Is(err, peerlink.ErrUnsent) {
			t.Errorf("an error %s: %v", test.name, err)
		}
	}
	if _, err := a.ask(t, 0xb, 9, strings.Repeat("x", 1000)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := a.ask(t, 0xb, 9, strings.Repeat("x", 1001)); err == nil || errors.Is(err, peerlink.ErrUnsent) {
		t.Errorf("above the other side's limit: %v", err)
	}
	if _, err := a.ask(t, 0xb, 9, strings.Repeat("x", 1<<20+1)); !errors.Is(err, peerlink.ErrUnsent) {
		t.Errorf("above the own limit: %v", err)
	}
}

func TestWhoIsRefusedIsToldWhy(t *testing.T) {
	removed := func(member uint64) error {
		switch member {
		case 0xdead:
			return fmt.Errorf("since Tuesday: %w", peerlink.Removed)
		case 0xbad:
			return errors.New("not you")
		}
		return nil
	}
	b := join(t, 0xb, func(o *peerlink.Options) { o.Generation = 3; o.Allowed = removed })
	generation := func(n uint64) func(*peerlink.Options) { return func(o *peerlink.Options) { o.Generation = n } }
	for _, test := range []struct {
		name   string
		caller *party
		want   peerlink.Refusal
	}{
		{"of another cluster", join(t, 0xa, generation(3), func(o *peerlink.Options) { o.Cluster++ }), peerlink.ForeignCluster},
		{"of an earlier generation", join(t, 0xa, generation(2)), peerlink.WrongGeneration},
		{"removed", join(t, 0xdead, generation(3)), peerlink.Removed},
		{"not allowed", join(t, 0xbad, generation(3)), peerlink.NotAllowed},
		{"with its own id", join(t, 0xb, generation(3)), peerlink.NotAllowed},
	} {
		test.caller.book.Set(map[uint64][]string{0xb: {b.url}})
		_, err := test.caller.ask(t, 0xb, 1, "x")
		if !errors.Is(err, test.want) || !errors.Is(err, peerlink.ErrUnsent) {
			t.Errorf("a caller %s: %v; want %v", test.name, err, test.want)
		}
	}
	a := join(t, 0xa, generation(3))
	a.book.Set(map[uint64][]string{0xc: {b.url}})
	if _, err := a.ask(t, 0xc, 1, "x"); !errors.Is(err, peerlink.WrongMember) || !strings.Contains(err.Error(), ": b") {
		t.Errorf("looking for another member: %v", err)
	}
}

// A removed member loses its access.
func TestARemovedMembersConnectionsEnd(t *testing.T) {
	var mu sync.Mutex
	var gone bool
	entered, left := make(chan struct{}, 1), make(chan error, 1)
	b := join(t, 0xb, func(o *peerlink.Options) {
		o.Allowed = func(uint64) error {
			mu.Lock()
			defer mu.Unlock()
			if gone {
				return peerlink.Removed
			}
			return nil
		}
		o.Handler = func(ctx context.Context, _ uint64, _ uint8, _ []byte) ([]byte, error) {
			entered <- struct{}{}
			<-ctx.Done()
			left <- ctx.Err()
			return nil, ctx.Err()
		}
	})
	a := join(t, 0xa)
	introduce(a, b)
	result := make(chan error, 1)
	go func() {
		_, err := a.Call(t.Context(), 0xb, 1, nil)
		result <- err
	}()
	<-entered
	mu.Lock()
	gone = true
	mu.Unlock()
	b.book.Set(map[uint64][]string{0xb: {b.url}})
	if err := <-left; err == nil {
		t.Error("the handler went on")
	}
	if err := <-result; err == nil || errors.Is(err, peerlink.ErrUnsent) {
		t.Errorf("the call under way: %v", err)
	}
	if _, err := a.ask(t, 0xb, 1, ""); !errors.Is(err, peerlink.Removed) {
		t.Errorf("the next call: %v", err)
	}
}

func TestAnAddressMayChange(t *testing.T) {
	a, b := join(t, 0xa), join(t, 0xb)
	introduce(a, b)
	if _, err := a.ask(t, 0xb, 1, "x"); err != nil {
		t.Fatal(err)
	}
	moved := join(t, 0xb, func(o *peerlink.Options) {
		o.Handler = func(context.Context, uint64, uint8, []byte) ([]byte, error) { return []byte("moved"), nil }
	})
	// The old one still listens, and would answer.
	a.book.Set(map[uint64][]string{0xa: {a.url}, 0xb: {moved.url}})
	eventually(t, "calls go to the new address", func() bool {
		got, err := a.ask(t, 0xb, 1, "x")
		return err == nil && got == "moved"
	})
	// Additional addresses are no reason to hang up.
	a.book.Set(map[uint64][]string{0xa: {a.url}, 0xb: {b.url, moved.url}})
	if got, err := a.ask(t, 0xb, 1, "x"); err != nil || got != "moved" {
		t.Errorf("%q, %v", got, err)
	}
	a.book.Set(map[uint64][]string{0xa: {a.url}})
	if _, err := a.ask(t, 0xb, 1, "x"); !errors.Is(err, peerlink.ErrUnsent) {
		t.Errorf("to a member that is gone: %v", err)
	}
}

func TestAMemberMayComeBack(t *testing.T) {
	a, b := join(t, 0xa), join(t, 0xb)
	introduce(a, b)
	for range 3 {
		if got, err := a.ask(t, 0xb, 1, "x"); err != nil || got != "a 1 x" {
			t.Fatalf("%q, %v", got, err)
		}
		b.Close()
		if _, err := a.ask(t, 0xb, 1, "x"); err == nil {
			t.Fatal("a closed link answers")
		}
		address := strings.TrimPrefix(b.url, "http://")
		b = join(t, 0xb, func(o *peerlink.Options) { o.Listen = []string{address} })
		eventually(t, "it answers again", func() bool {
			_, err := a.ask(t, 0xb, 1, "x")
			return err == nil
		})
	}
}

func TestTLSBetweenMembers(t *testing.T) {
	ours, theirs := tlstest.New(t), tlstest.New(t)
	a, b := join(t, 0xa, withTLS(ours)), join(t, 0xb, withTLS(ours))
	introduce(a, b)
	if got, err := a.ask(t, 0xb, 1, "x"); err != nil || got != "a 1 x" {
		t.Fatalf("with the right certificates: %q, %v", got, err)
	}
	client := ours.Client("a stranger")
	if got, err := peerlink.CallAddress(t.Context(), b.url, client, 1, []byte("x")); err != nil || string(got) != "0 1 x" {
		t.Errorf("a stranger with the right certificate: %q, %v", got, err)
	}

	trusting := &tls.Config{RootCAs: client.RootCAs}
	blind := &tls.Config{InsecureSkipVerify: true}
	plain := join(t, 0xc)
	foreign := join(t, 0xd, withTLS(theirs))
	for _, test := range []struct {
		name   string
		url    string
		config *tls.Config
		want   string
	}{
		{"without a certificate", b.url, trusting, "certificate required"},
		{"without checking, either", b.url, blind, "certificate required"},
		{"whose CA is another", b.url, theirs.Client("a stranger"), "a certificate of another authority"},
		{"without TLS", strings.Replace(b.url, "https", "http", 1), nil, peerlink.NeedsTLS.Error()},
		{"with TLS, to a port without", strings.Replace(plain.url, "http", "https", 1), client, "doesn't support TLS"},
		{"to a member of another CA", foreign.url, client, "a certificate of another authority"},
		{"without a configuration", b.url, nil, "no TLS configuration"},
	} {
		_, err := peerlink.CallAddress(t.Context(), test.url, test.config, 1, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("a caller %s: %v", test.name, err)
		}
	}
	// A certificate of the other CA, with ours trusted: only the listener can refuse it.
	mixed := theirs.Client("a stranger")
	mixed.RootCAs = client.RootCAs
	if _, err := peerlink.CallAddress(t.Context(), b.url, mixed, 1, nil); err == nil {
		t.Error("a certificate of another CA is let in")
	}
	if _, err := a.ask(t, 0xb, 1, "x"); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// Connections that don't fit are logged, at a limited rate.
func TestWhatDoesNotFitIsLogged(t *testing.T) {
	var out lockedBuffer
	logged := func(o *peerlink.Options) { o.Logger = slog.New(slog.NewTextHandler(&out, nil)) }
	secure := join(t, 0xa, withTLS(tlstest.New(t)), logged)
	plain := join(t, 0xb, logged)
	for range 20 {
		_, _ = peerlink.CallAddress(t.Context(), strings.Replace(secure.url, "https", "http", 1), nil, 1, nil)
		_, _ = peerlink.CallAddress(t.Context(), strings.Replace(plain.url, "http", "https", 1), &tls.Config{InsecureSkipVerify: true}, 1, nil)
	}
	secure.Close()
	plain.Close()
	text := out.String()
	for _, want := range []string{"it doesn't speak TLS, which this member requires", "it speaks TLS, which this member doesn't support"} {
		if n := strings.Count(text, want); n != 1 {
			t.Errorf("%q is logged %d times in\n%s", want, n, text)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// hangsUp waits until the other side closes the connection.
func hangsUp(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, c)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("it doesn't hang up")
	}
}

// Messages arrive in order, even while calls use the same connection.
func TestPostsArriveInOrder(t *testing.T) {
	const n = 2000
	got := make(chan string, n)
	a := join(t, 1)
	b := join(t, 2, func(o *peerlink.Options) {
		o.Receive = func(from uint64, kind uint8, payload []byte) {
			got <- fmt.Sprintf("%x %d %s", from, kind, payload)
		}
	})
	introduce(a, b)
	for i := range n {
		for !a.Post(2, 9, fmt.Append(nil, i)) {
			if _, err := a.Call(t.Context(), 2, 1, nil); err != nil { // until some have been sent
				t.Fatal(err)
			}
		}
	}
	for i := range n {
		if got, want := <-got, fmt.Sprintf("1 9 %d", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// Messages that can't be sent are lost, or refused if too many are waiting. Later ones
// still get through.
func TestAPostWithoutAConnectionHoldsNothingUp(t *testing.T) {
	got := make(chan string, 1)
	a := join(t, 1, inHaste)
	b := join(t, 2, func(o *peerlink.Options) {
		o.Receive = func(_ uint64, _ uint8, payload []byte) { got <- string(payload) }
	})
	if !a.Post(2, 9, []byte("lost")) {
		t.Fatal("a message to a member that nobody knows is not taken")
	}
	if a.Post(2, 9, make([]byte, 2<<20)) {
		t.Fatal("a message above the limit is taken")
	}
	if _, err := a.Call(t.Context(), 2, 1, nil); err == nil {
		t.Fatal("a call to a member that nobody knows is answered")
	}
	introduce(a, b)
	for {
		a.Post(2, 9, []byte("arrives"))
		select {
		case text := <-got:
			if text == "lost" { // not yet, if the first attempt came late
				continue
			}
			if text != "arrives" {
				t.Fatalf("got %q", text)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
