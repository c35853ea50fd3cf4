package login

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"copse/statemachine/auth"
	"copse/statemachine/metric"
	"copse/statemachine/metric/metrictest"
)

// bench is a Checker and the state that it sees.
type bench struct {
	t *testing.T
	*Checker
	state atomic.Pointer[auth.State]
}

func newBench(t *testing.T, users ...*auth.User) *bench {
	b := &bench{t: t}
	b.set(users...)
	b.Checker = New(b.state.Load)
	b.nobody = user(t, "", "whatever").Hash // which takes less time
	return b
}

// set makes these the users.
func (b *bench) set(users ...*auth.User) { b.state.Store(auth.NewState(true, users, nil)) }

// user is a user with the cheapest hash there is.
func user(t *testing.T, name, password string) *auth.User {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return &auth.User{Name: name, Hash: string(hash)}
}

func basic(name, password string) []byte {
	return []byte("Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}

// counted returns how many checks had each result.
func (b *bench) counted() map[string]uint64 {
	b.t.Helper()
	var w metric.Writer
	b.WriteMetrics(&w)
	scrape, err := metrictest.Parse(w.Bytes())
	if err != nil {
		b.t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, result := range []string{"remembered", "verified", "certificate", "failed", "malformed", "busy"} {
		n, ok := scrape.Value("copse_auth_checks_total", "result", result)
		if !ok {
			b.t.Fatalf("no count of %s", result)
		}
		if n > 0 {
			got[result] = uint64(n)
		}
	}
	return got
}

func (b *bench) wantCounts(want map[string]uint64) {
	b.t.Helper()
	if got := b.counted(); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("checks by result: got %v want %v", got, want)
	}
}

func (b *bench) wantUser(c *Client, header []byte, want string) {
	b.t.Helper()
	u, _ := b.Checker.state().User(want)
	if who, err := b.Identify(c, header, ""); who != auth.TheUser(want) && who != b.Checker.state().Proven(u) || err != nil {
		b.t.Errorf("%.60q: got %v, %v want the user %s", header, who, err, want)
	}
}

func (b *bench) wantRefused(c *Client, header []byte, name string) {
	b.t.Helper()
	who, err := b.Identify(c, header, "")
	var refused *Refused
	if who != (auth.Who{}) || !errors.As(err, &refused) || refused.User != name {
		b.t.Errorf("%.60q: got %v, %v want a refusal of %q", header, who, err, name)
	}
}

func TestHeadersAreReadAsInEtcd(t *testing.T) {
	b := newBench(t, user(t, "a:b", "c"), user(t, "u", "p:w é "))
	for _, header := range []string{"", " ", "\t "} {
		if who, err := b.Identify(new(Client), []byte(header), ""); who != auth.TheGuest || err != nil {
			t.Errorf("%q: got %v, %v want the guest", header, who, err)
		}
	}
	right := string(basic("u", "p:w é "))
	for _, header := range []string{right, "bAsIC" + right[5:], " " + right + "\t"} {
		b.wantUser(new(Client), []byte(header), "u")
	}
	for _, header := range []string{
		"Basic", "Basic ", "Bearer x", "Basic  " + right[6:], "Basic\t" + right[6:], right[:len(right)-1], right + " x", right + "x", "Digest" + right[5:],
		"Basic " + base64.StdEncoding.EncodeToString([]byte("no colon")), "Basic dTpw_w==", right[6:],
	} {
		b.wantRefused(new(Client), []byte(header), "")
	}
	b.wantRefused(new(Client), basic("a:b", "c"), "a") // the first colon ends the name
	b.wantRefused(new(Client), basic("", ""), "")
	b.wantRefused(new(Client), basic("u", ""), "u")
	b.wantRefused(new(Client), basic("U", "p:w é "), "U")
	b.wantRefused(new(Client), basic("../users/u", "p:w é "), "../users/u")
}

func TestAPasswordIsHashedOnce(t *testing.T) {
	b := newBench(t, user(t, "u", "right"), user(t, "v", "right"))
	one, two := new(Client), new(Client)
	for range 3 {
		b.wantUser(one, basic("u", "right"), "u")
		b.wantUser(two, basic("u", "right"), "u")
	}
	b.wantCounts(map[string]uint64{"verified": 1, "remembered": 5})
	// The same password of another user is another one, and a wrong one is never remembered.
	b.wantUser(one, basic("v", "right"), "v")
	for range 2 {
		b.wantRefused(one, basic("u", "wrong"), "u")
	}
	b.wantUser(one, basic("u", "right"), "u")
	b.wantCounts(map[string]uint64{"verified": 2, "remembered": 6, "failed": 2})
}

func TestWhatIsRememberedEndsWithTheHash(t *testing.T) {
	old := user(t, "u", "old")
	b := newBench(t, old)
	c := new(Client)
	b.wantUser(c, basic("u", "old"), "u")

	// A change of roles is none of the password, even where it makes another *User.
	b.set(&auth.User{Name: "u", Hash: old.Hash, Roles: []string{"r"}})
	b.wantUser(c, basic("u", "old"), "u")
	b.wantUser(new(Client), basic("u", "old"), "u")
	b.wantCounts(map[string]uint64{"verified": 1, "remembered": 2})

	b.set(user(t, "u", "new"))
	b.wantRefused(c, basic("u", "old"), "u")
	b.wantRefused(new(Client), basic("u", "old"), "u")
	b.wantUser(c, basic("u", "new"), "u")

	b.set()
	b.wantRefused(c, basic("u", "new"), "u")
	b.wantRefused(new(Client), basic("u", "new"), "u")

	// The same password again has another salt.
	b.set(user(t, "u", "new"))
	b.wantUser(c, basic("u", "new"), "u")
	b.wantCounts(map[string]uint64{"verified": 3, "remembered": 2, "failed": 4})
}

func TestOnlyTheWholePasswordIsRight(t *testing.T) {
	whole := strings.Repeat("x", 72)
	b := newBench(t, user(t, "u", whole))
	b.wantUser(new(Client), basic("u", whole), "u")
	b.wantRefused(new(Client), basic("u", whole+"y"), "u") // to bcrypt it is the same
	b.wantRefused(new(Client), basic("u", whole[1:]), "u")
	if _, err := b.Hash(whole+"y", new(Client)); !errors.Is(err, ErrTooLong) {
		t.Errorf("hash of 73 bytes: %v", err)
	}
	hash, err := b.Hash(whole, new(Client))
	if err != nil || !strings.HasPrefix(hash, "$2a$10$") || bcrypt.CompareHashAndPassword([]byte(hash), []byte(whole)) != nil {
		t.Errorf("hash of 72 bytes: %q, %v", hash, err)
	}
}

func TestNobodysHashTakesAsLongAsAnyOther(t *testing.T) {
	if cost, err := bcrypt.Cost([]byte(nobodysHash)); cost != bcrypt.DefaultCost || err != nil {
		t.Errorf("cost %d, %v", cost, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(nobodysHash), []byte("x")); err != bcrypt.ErrMismatchedHashAndPassword {
		t.Errorf("it isn't compared to the end: %v", err)
	}
}

func TestManyWhoAskAtOnceAreHashedOnce(t *testing.T) {
	b := newBench(t, user(t, "u", "right"))
	if _, err := b.turns.take(asker{}); err != nil {
		t.Fatal(err)
	}
	const clients = 50
	var done sync.WaitGroup
	for range clients {
		done.Go(func() { b.wantUser(new(Client), basic("u", "right"), "u") })
	}
	b.waitFor(clients)
	b.turns.pass()
	done.Wait()
	b.wantCounts(map[string]uint64{"verified": 1, "remembered": clients - 1})
}

func TestALongHeaderIsntKept(t *testing.T) {
	name := strings.Repeat("u", 300)
	b, c := newBench(t, user(t, name, "right")), new(Client)
	b.wantUser(c, basic(name, "right"), name)
	if c.header != nil {
		t.Errorf("%d bytes are kept with a connection", len(c.header))
	}
}

func TestProofsAreBounded(t *testing.T) {
	p := newProofs()
	for i := range proofsLimit + 10 {
		u := &auth.User{Name: fmt.Sprint(i), Hash: "h"}
		p.put(u, proof{1})
		p.put(u, proof{2})
		if !p.has(u, proof{2}) || p.has(u, proof{1}) {
			t.Fatal("the last user isn't remembered")
		}
	}
	if len(p.byName) != proofsLimit {
		t.Errorf("%d users are remembered", len(p.byName))
	}
}

func TestClientsOfOneHostShareALine(t *testing.T) {
	for addr, want := range map[net.Addr]string{
		&net.TCPAddr{IP: net.ParseIP("10.0.0.1"), Port: 1}:        "10.0.0.1",
		&net.TCPAddr{IP: net.ParseIP("::ffff:10.0.0.1"), Port: 2}: "10.0.0.1",
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 2}:         "fe80::1",
		&net.UnixAddr{Name: "x"}:                                  "invalid IP",
	} {
		if got := (&Client{Addr: addr}).From().String(); got != want {
			t.Errorf("%v: got %s want %s", addr, got, want)
		}
	}
}

func TestAHostHasOneLineWhateverItsAddresses(t *testing.T) {
	b := newBench(t)
	if _, err := b.turns.take(asker{}); err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	addrs := []string{"2001:db8::1", "2001:db8::2:0:0:2", "10.0.0.1", "2001:db8:0:1::1", "10.0.0.2"}
	for i, addr := range addrs {
		client := &Client{Addr: &net.TCPAddr{IP: net.ParseIP(addr)}}
		done.Go(func() { _, _ = b.Identify(client, basic("nobody", "x"), "") })
		b.waitFor(i + 1)
	}
	if len(b.turns.lines) != 4 {
		t.Errorf("%d lines for the addresses %v", len(b.turns.lines), addrs)
	}
	b.Stop()
	done.Wait()
}

// recalled is what a request costs whose credentials the connection remembers.
func BenchmarkRecalled(b *testing.B) {
	var users []*auth.User
	for i := range 10_000 {
		users = append(users, &auth.User{Name: fmt.Sprintf("user%05d", i), Hash: "h"})
	}
	st := auth.NewState(true, users, nil)
	c := New(func() *auth.State { return st })
	header := basic("user05000", "a password")
	client := &Client{header: header, user: users[5000]}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Identify(client, header, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProven is what the first request of a connection costs.
func BenchmarkProven(b *testing.B) {
	u := &auth.User{Name: "u", Hash: "h"}
	st := auth.NewState(true, []*auth.User{u}, nil)
	c := New(func() *auth.State { return st })
	c.proofs.put(u, c.proofs.of("u", []byte("a password")))
	header := basic("u", "a password")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Identify(new(Client), header, ""); err != nil {
			b.Fatal(err)
		}
	}
}
